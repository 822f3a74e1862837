"""The cache itself: functions whose values are kept in Redis, and everything that can be asked of it."""

from __future__ import annotations

from asyncio import get_running_loop
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, ParamSpec, TypeVar

from langcache_cli.caching._front.cache_reports import Reporting
from langcache_cli.caching._front.cache_values import PlainValues
from langcache_cli.caching._front.cached_function import CachedFunction
from langcache_cli.caching._front.decorator import decorator
from langcache_cli.caching._functions.spec import EntryKeys, FunctionSpec, Options
from langcache_cli.caching._loading.call import Call
from langcache_cli.caching._loading.reader import Reader
from langcache_cli.caching._protocol.lifetime import Lifetime

P = ParamSpec("P")
T = TypeVar("T")


class Cache(PlainValues, Reporting):
    """A cache in one Redis and one namespace.

    Making one connects to nothing. It can be used from one event loop after another (and from several
    in several threads): each gets connections of its own, which `aclose` ends for the running loop.
    """

    def cached(
        self,
        *,
        key_prefix: str,
        ttl: float | None = None,
        stale_ttl: float = 0.0,
        early_refresh: float = 0.0,
        tags: Sequence[str] = (),
        local_ttl: float = 0.0,
        key: str | None = None,
        ignore: Sequence[str] = (),
    ) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], CachedFunction[P, T]]:
        """Decorate an ``async def`` function so that its values are cached here; see `cached`."""
        options = Options(ttl, stale_ttl, early_refresh, tags, local_ttl)
        return decorator(
            lambda: self, self.registry, key_prefix=key_prefix, key=key, ignore=ignore, options=options
        )

    def call(self, spec: FunctionSpec, address: EntryKeys, origin: Callable[[], Awaitable[Any]]) -> Call:
        """One call of a cached function, to be answered or refreshed."""
        return self.reader(spec).call(address, origin)

    def reader(self, spec: FunctionSpec) -> Reader:
        """What answers the calls of a function on this event loop.

        Raises:
            TypeError: The function's return annotation cannot be used.
        """
        runtime = self._runtimes.latest
        if runtime is None or runtime.loop is not get_running_loop():  # asked at every call: no detours
            runtime = self._runtimes.current()
        reader = runtime.readers.get(spec)
        if reader is None:
            reader = Reader(runtime, spec, self.label(spec), self.lifetime(spec))
            runtime.readers[spec] = reader
        return reader

    def lifetime(self, spec: FunctionSpec) -> Lifetime:
        """How long a function's entries live; the TTL of its cache type if it has none of its own."""
        lifetime = self._lifetimes.get(spec)
        if lifetime is None:
            ttl_seconds = self.settings.types.of_prefix(spec.keys.prefix).ttl_seconds
            lifetime = spec.lifetime(ttl_seconds=ttl_seconds, jitter=self.settings.ttl_jitter)
            self._lifetimes[spec] = lifetime
        return lifetime
