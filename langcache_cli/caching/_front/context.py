"""What all parts of one cache share: settings, names, counters, and one runtime per event loop."""

from __future__ import annotations

from asyncio import get_running_loop

from langcache_cli.caching._config.settings import CacheSettings
from langcache_cli.caching._errors import CacheUnavailableError
from langcache_cli.caching._functions.body_spec import BodySpec
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._invalidation.outbox import Outbox
from langcache_cli.caching._keys.namespace import Namespace
from langcache_cli.caching._loading.body_reader import BodyReader
from langcache_cli.caching._loading.reader import Reader
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._runtime.runtimes import Runtimes
from langcache_cli.caching._statistics.actor import acting_as
from langcache_cli.caching._statistics.counters import Statistics
from langcache_cli.caching._statistics.events import Events
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._wire.externals import Externals
from langcache_cli.caching._wire.outage_log import OutageLog


class Context:
    """The state of one cache. See `Cache` for the arguments."""

    def __init__(
        self,
        settings: CacheSettings,
        *,
        publish_statistics: bool,
        defer_invalidations: bool,
        externals: Externals,
    ) -> None:
        self.settings = settings
        self.enabled = settings.redis_enabled
        self.namespace = Namespace(settings.namespace, settings.types)
        self.statistics = Statistics()
        self.events = Events()
        self.outbox = Outbox(self.namespace.everything)
        self._outages = OutageLog(on_end=self._outage_ended)
        self.runtimes = Runtimes(
            lambda: Runtime(
                settings,
                self.statistics,
                self.outbox,
                self.events,
                self._outages,
                externals=externals,
                publish_statistics=publish_statistics,
                defer_invalidations=defer_invalidations,
            )
        )
        self._labels: dict[str, Label] = {}
        self._lifetimes: dict[FunctionSpec, Lifetime] = {}

    def _outage_ended(self, server: str, seconds: float, bypassed: int) -> None:
        with acting_as(via="api"):  # not whoever has asked when it ended
            self.runtime().fleet.events.write_soon("outage", server, count=bypassed, seconds=seconds)

    def runtime(self) -> Runtime:
        """The runtime of the running event loop."""
        return self.runtimes.current()

    def enabled_runtime(self) -> Runtime:
        """The runtime of the running event loop, for what makes no sense in a disabled cache.

        Raises:
            CacheUnavailableError: ``REDIS_ENABLED`` is false.
        """
        if not self.enabled:
            raise CacheUnavailableError(
                "the cache is disabled by REDIS_ENABLED", target=str(self.settings.target)
            )
        return self.runtime()

    def reader(self, spec: FunctionSpec) -> Reader:
        """The reader of a function on the running event loop.

        Raises:
            TypeError: The function's return annotation cannot be used.
        """
        runtime = self.runtimes.latest
        if runtime is None or runtime.loop is not get_running_loop():  # on every call: no detours
            runtime = self.runtimes.current()
        reader: Reader | None = runtime.readers.get(spec)
        if reader is None:
            kind = BodyReader if isinstance(spec, BodySpec) else Reader
            reader = kind(runtime, spec, self.label(spec), self.lifetime(spec))
            runtime.readers[spec] = reader
        return reader

    def label(self, spec: FunctionSpec) -> Label:
        """What the calls of a function are counted under."""
        label = self._labels.get(spec.keys.stem)
        if label is None:
            prefix = spec.keys.prefix
            label = Label(self.settings.types.of_prefix(prefix).name, prefix, spec.keys.function_name)
            self._labels[spec.keys.stem] = label
        return label

    def lifetime(self, spec: FunctionSpec) -> Lifetime:
        """How long a function's entries live: its own TTL, or that of its cache type."""
        lifetime = self._lifetimes.get(spec)
        if lifetime is None:
            ttl_seconds = self.settings.types.of_prefix(spec.keys.prefix).ttl_seconds
            lifetime = spec.lifetime(ttl_seconds=ttl_seconds, jitter=self.settings.ttl_jitter)
            self._lifetimes[spec] = lifetime
        return lifetime
