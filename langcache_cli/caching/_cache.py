"""The cache itself: settings, one runtime per event loop, and everything that can be asked of it."""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from langcache_cli.caching._calls import Call
from langcache_cli.caching._decorator import decorator
from langcache_cli.caching._errors import CacheError, CacheUnavailableError
from langcache_cli.caching._events import Events
from langcache_cli.caching._function import CachedFunction
from langcache_cli.caching._invalidator import Invalidator
from langcache_cli.caching._lifetimes import Lifetime, milliseconds
from langcache_cli.caching._namespace import Namespace
from langcache_cli.caching._outbox import Invalidation, Outbox
from langcache_cli.caching._patterns import Selection, scan
from langcache_cli.caching._reader import Reader
from langcache_cli.caching._registry import Registry
from langcache_cli.caching._report import (
    CacheReport,
    CacheStats,
    Numbers,
    ServerReport,
    cache_stats,
    server_report,
)
from langcache_cli.caching._runtime import Runtime
from langcache_cli.caching._runtimes import Runtimes
from langcache_cli.caching._settings import CacheSettings
from langcache_cli.caching._spec import Address, FunctionSpec, Options
from langcache_cli.caching._statistics import Label, Statistics
from langcache_cli.caching._surroundings import Surroundings
from langcache_cli.caching._transactions import Transactions
from langcache_cli.caching._values import MISSING, read_values, write_values

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_WINDOW_SECONDS = 3600


class Cache:
    """A cache in one Redis and one namespace.

    Making one connects to nothing. It can be used from one event loop after another (and from several
    in several threads): each gets connections of its own, which `aclose` ends for the running loop.
    """

    def __init__(
        self,
        settings: CacheSettings | None = None,
        *,
        publish_statistics: bool = True,
        defer_invalidations: bool = True,
        surroundings: Surroundings | None = None,
    ) -> None:
        """Use ``settings``, or those of the environment.

        Args:
            settings: None reads the environment.
            publish_statistics: False keeps the counters in this process: for tools, whose reads say
                nothing about the application.
            defer_invalidations: Keep an invalidation that Redis does not confirm, go straight to the
                functions until it has, and do not raise. False raises `CacheUnavailableError` instead.
            surroundings: Other connections and another clock, for tests; see `langcache_cli.caching.testing`.

        Raises:
            ConfigurationError: A setting has a value that is not allowed.
        """
        self.settings = settings or CacheSettings.load()
        self.enabled = self.settings.redis_enabled
        """Whether Redis is used at all; if not, every call goes straight to its function."""
        self.registry = Registry()
        self._namespace = Namespace(self.settings.namespace, self.settings.types)
        self.statistics = Statistics()
        self.events = Events()
        self._outbox = Outbox(self._namespace.everything)
        self._invalidator = Invalidator(self._outbox, defers=defer_invalidations)
        self._transactions = Transactions(self._invalidate_all)
        self._runtimes = Runtimes(
            lambda: Runtime(
                self.settings,
                self.statistics,
                self._outbox,
                self.events,
                surroundings=surroundings or Surroundings(),
                publish=publish_statistics,
            )
        )
        self._labels: dict[str, Label] = {}
        self._lifetimes: dict[FunctionSpec, Lifetime] = {}

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

    def call(self, spec: FunctionSpec, address: Address, origin: Callable[[], Awaitable[Any]]) -> Call:
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

    def label(self, spec: FunctionSpec) -> Label:
        """What a function's calls are counted under."""
        label = self._labels.get(spec.keys.stem)
        if label is None:
            prefix = spec.keys.prefix
            label = Label(self.settings.types.of_prefix(prefix).name, prefix, spec.keys.function_name)
            self._labels[spec.keys.stem] = label
        return label

    async def get(self, key: str, default: Any = None) -> Any:
        """The value stored with `set` under ``{namespace}:{key}``.

        Returns:
            ``default`` when there is none, or Redis cannot be used.
        """
        value = (await self.get_many([key]))[key]
        return default if value is MISSING else value

    async def get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        """The values of several keys in one round trip; `MISSING` for those that have none."""
        if not self.enabled:
            return dict.fromkeys(keys, MISSING)
        runtime, full_keys = self.runtime(), [self._namespace.key(key) for key in keys]
        found = await runtime.believed(lambda: read_values(runtime.server, full_keys))
        return dict.fromkeys(keys, MISSING) if found is None else dict(zip(keys, found, strict=True))

    async def set(self, key: str, value: Any, *, ttl: float | None = None) -> bool:
        """Store a plain JSON value under ``{namespace}:{key}``, whatever is there.

        Args:
            key: Begins with a prefix, which decides the cache type: ``"user_stats:42"``.
            value: None, bool, int, float, str, and lists and dicts of these.
            ttl: Seconds; without it that of the cache type.

        Returns:
            Whether Redis confirmed it.

        Raises:
            UncacheableValueError: The value is not plain JSON.
            ValueError: ``ttl`` is not more than 0 seconds.
        """
        return await self.set_many({key: value}, ttl=ttl)

    async def set_many(self, values: Mapping[str, Any], *, ttl: float | None = None) -> bool:
        """`set` several values in one round trip; False when Redis did not confirm all of them."""
        if ttl is not None and not ttl > 0:
            raise ValueError(f"ttl must be more than 0 seconds, not {ttl!r}")
        if not self.enabled or not values:
            return not values
        types = self.settings.types
        ttls = {
            self._namespace.key(key): milliseconds(ttl or types.of_prefix(key.partition(":")[0]).ttl_seconds)
            for key in values
        }
        stored = {self._namespace.key(key): value for key, value in values.items()}
        compress_bytes = self.settings.compress_bytes
        return await write_values(self.runtime().server, stored, ttl_ms=ttls, compress_bytes=compress_bytes)

    async def delete(self, *keys: str) -> int:
        """Remove keys given as for `set`; returns how many there were.

        Raises:
            CacheUnavailableError: Redis did not confirm, and the cache was told not to defer.
        """
        return await self.invalidate_keys([self._namespace.key(key) for key in keys]) if keys else 0

    async def invalidate_keys(self, keys: Sequence[str], spec: FunctionSpec | None = None) -> int:
        """Remove full keys, and the right to store any load of them that is under way.

        Args:
            keys: As `CachedFunction.key_for` gives them.
            spec: The function they belong to, if there is one: it is what the removal is counted under.

        Raises:
            PatternError: A key is outside the namespace.
            CacheUnavailableError: Redis did not confirm, and the cache was told not to defer.
        """
        self._namespace.require_inside(*keys)
        if not self.enabled or not keys:
            return 0
        runtime = self.runtime()
        removed = await self._invalidator.keys(runtime, keys)
        if spec is not None:
            runtime.record(self.label(spec), "invalidated", removed)
        return removed

    async def holds(self, key: str) -> bool:
        """Whether there is anything under a full key: an entry, or the placeholder of a load.

        Raises:
            CacheUnavailableError: Redis did not answer.
        """
        return bool(await self._usable_runtime().server.call("EXISTS", key))

    async def holds_tag(self, tag: str) -> bool:
        """Whether a tag is in use: something that was stored with it may be there.

        Raises:
            CacheUnavailableError: Redis did not answer.
        """
        return await self.holds(self._namespace.tag(tag))

    def statistics_of(self, function: CachedFunction[Any, Any]) -> Numbers:
        """What this process has counted for a function and not delivered yet."""
        return Numbers(self.statistics.of(self.label(function.spec)))

    async def invalidate(self, pattern: str, *, keys_per_second: float | None = None) -> int:
        """Remove every key that matches a Redis pattern such as ``cache:*vocabulary*``.

        Text from users must become part of it only as `argument_text`, which is how it stands in keys.

        Args:
            pattern: Begins with the namespace.
            keys_per_second: How many to remove in a second at most, for the sake of the server's other
                clients; None for as fast as can be.

        Returns:
            How many keys there were.

        Raises:
            PatternError: The pattern does not begin with the namespace.
            CacheUnavailableError: Redis did not confirm, and the cache was told not to defer.
        """
        return await self._unlink(self._namespace.matching(pattern), keys_per_second)

    async def invalidate_type(self, name: str, *, keys_per_second: float | None = None) -> int:
        """Remove every entry of a cache type; returns how many keys there were.

        Args:
            name: Of the type.
            keys_per_second: As for `invalidate`.

        Raises:
            UnknownCacheTypeError: There is no such type.
            CacheUnavailableError: Redis did not confirm, and the cache was told not to defer.
        """
        return await self._unlink(self._namespace.of_type(name), keys_per_second)

    async def invalidate_tags(self, *tags: str) -> int:
        """Invalidate every entry that has one of these tags, in one step whatever their number.

        Args:
            tags: As the templates write them: ``f"user:{user_id}"``.

        Returns:
            How many of the tags were in use.

        Raises:
            CacheUnavailableError: Redis did not confirm, and the cache was told not to defer.
        """
        if not self.enabled or not tags:
            return 0
        keys = [self._namespace.tag(tag) for tag in tags]
        return await self._invalidator.keys(self.runtime(), keys)

    def after_commit(
        self,
        session: AsyncSession | async_scoped_session[Any],
        *keys: str,
        tags: Sequence[str] = (),
        patterns: Sequence[str] = (),
        types: Sequence[str] = (),
    ) -> None:
        """Invalidate when the transaction of ``session`` commits, before its ``commit()`` returns.

        A rollback drops it; so does the rollback of the savepoint it was asked for in. Without a transaction
        it belongs to the next one. A ``commit()`` that fails invalidates: perhaps only its answer was lost.
        When Redis does not confirm, it is kept as by `CachedFunction.invalidate`.

        Args:
            session: SQLAlchemy's ``AsyncSession``.
            keys: As `CachedFunction.key_for` gives them.
            tags: As for `invalidate_tags`.
            patterns: As for `invalidate`.
            types: Names of cache types.

        Raises:
            TypeError: It is no async session.
            PatternError: A key or a pattern is outside the namespace.
            UnknownCacheTypeError: There is no such type.
        """
        self._transactions.add(session, self._namespace.invalidations(keys, tags, patterns, types))

    async def _invalidate_all(self, invalidations: Sequence[Invalidation]) -> None:
        if self.enabled:
            await self._invalidator.all(self.runtime(), invalidations)

    @property
    def pending_invalidations(self) -> int:
        """How many invalidations of this process Redis has not confirmed yet; calls pass it by until then."""
        return len(self._outbox)

    async def _unlink(self, selection: Selection, keys_per_second: float | None) -> int:
        if not self.enabled:
            return 0
        return await self._invalidator.selection(self.runtime(), selection, keys_per_second=keys_per_second)

    async def scan(
        self, pattern: str | None = None, *, type_name: str | None = None
    ) -> AsyncIterator[list[str]]:
        """Yield batches of keys: all, those that match a pattern, or those of a cache type.

        A key may come twice, and one that comes or goes meanwhile may be missing: Redis' SCAN.

        Raises:
            PatternError: The pattern does not begin with the namespace.
            UnknownCacheTypeError: There is no such type.
            CacheUnavailableError: Redis went away.
        """
        namespace = self._namespace
        selection = namespace.everything if pattern is None else namespace.matching(pattern)
        if type_name is not None:
            selection = namespace.of_type(type_name)
        async for keys in scan(self._usable_runtime().bulk, selection):
            yield [key.decode("utf-8", "replace") for key in keys]

    async def ping(self) -> float:
        """The round trip to Redis in seconds.

        Raises:
            CacheUnavailableError: No answer within the budget, or the cache is disabled.
        """
        runtime = self._usable_runtime()
        started = runtime.loop.time()
        await runtime.server.call("PING")
        return runtime.loop.time() - started

    async def report(self, *, window_seconds: int = DEFAULT_WINDOW_SECONDS) -> CacheReport:
        """The cache's own numbers of all processes; this one's are delivered first.

        Args:
            window_seconds: How far back, at most a week.

        Raises:
            CacheError: Redis could not be asked.
        """
        runtime = self._usable_runtime()
        await runtime.flush_statistics()
        counts = await runtime.ledger.read(window_seconds)
        return CacheReport(window_seconds, {label: Numbers(items) for label, items in counts.items()})

    async def server_report(self) -> ServerReport:
        """What Redis says of itself.

        Raises:
            CacheError: Redis could not be asked.
        """
        server = self._usable_runtime().server
        keys = await server.call("DBSIZE")
        return server_report(await server.call("INFO"), database_keys=keys)

    async def stats(self) -> CacheStats:
        """Both reports as one record for a health page.

        It never raises for want of Redis, and takes no longer than ``LANGCACHE_OPERATION_TIMEOUT``.
        """
        server: ServerReport | None = None
        report: CacheReport | None = None
        if self.enabled:
            with suppress(CacheError, TimeoutError):
                async with asyncio.timeout(self.settings.operation_timeout):
                    server = await self.server_report()
                    report = await self.report()
        return cache_stats(
            enabled=self.enabled, server=server, report=report, outbox=self.pending_invalidations
        )

    def client(self) -> Redis:
        """A redis-py client for this event loop, closed by `aclose`; for everything that is not caching."""
        return self.runtime().client

    def runtime(self) -> Runtime:
        """What this cache holds for the running event loop."""
        return self._runtimes.current()

    def _usable_runtime(self) -> Runtime:
        if not self.enabled:
            raise CacheUnavailableError(
                "the cache is disabled by REDIS_ENABLED", target=str(self.settings.address)
            )
        return self.runtime()

    async def aclose(self) -> None:
        """Deliver the statistics and end everything this event loop holds; the cache can be used again."""
        await self._runtimes.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
