"""What every part of the cache stands on: settings, and one runtime per event loop."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from langcache_cli.caching._config.settings import CacheSettings
from langcache_cli.caching._errors import CacheUnavailableError
from langcache_cli.caching._front.registry import Registry
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._invalidation.after_commit import CommitHooks
from langcache_cli.caching._invalidation.invalidator import Invalidator
from langcache_cli.caching._invalidation.outbox import Outbox
from langcache_cli.caching._keys.namespace import Namespace
from langcache_cli.caching._keys.selection import Invalidation
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._runtime.runtimes import Runtimes
from langcache_cli.caching._statistics.counters import Statistics
from langcache_cli.caching._statistics.events import Events
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._wire.externals import Externals

if TYPE_CHECKING:
    from redis.asyncio import Redis


class CacheBase:
    """A cache that nothing can be asked of yet; see `Cache`."""

    def __init__(
        self,
        settings: CacheSettings | None = None,
        *,
        publish_statistics: bool = True,
        defer_invalidations: bool = True,
        externals: Externals | None = None,
    ) -> None:
        """Use ``settings``, or those of the environment.

        Args:
            settings: None reads the environment.
            publish_statistics: False keeps the counters in this process: for tools, whose reads say
                nothing about the application.
            defer_invalidations: Keep an invalidation that Redis does not confirm, go straight to the
                functions until it has, and do not raise. False raises `CacheUnavailableError` instead.
            externals: Other connections and another clock, for tests; see `langcache_cli.caching.testing`.

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
        self._transactions = CommitHooks(self._invalidate_all)
        self._runtimes = Runtimes(
            lambda: Runtime(
                self.settings,
                self.statistics,
                self._outbox,
                self.events,
                externals=externals or Externals(),
                publish=publish_statistics,
            )
        )
        self._labels: dict[str, Label] = {}
        self._lifetimes: dict[FunctionSpec, Lifetime] = {}

    def label(self, spec: FunctionSpec) -> Label:
        """What a function's calls are counted under."""
        label = self._labels.get(spec.keys.stem)
        if label is None:
            prefix = spec.keys.prefix
            label = Label(self.settings.types.of_prefix(prefix).name, prefix, spec.keys.function_name)
            self._labels[spec.keys.stem] = label
        return label

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

    async def _invalidate_all(self, invalidations: Sequence[Invalidation]) -> None:
        if self.enabled:
            await self._invalidator.all(self.runtime(), invalidations)

    async def aclose(self) -> None:
        """Deliver the statistics and end everything this event loop holds; the cache can be used again."""
        await self._runtimes.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
