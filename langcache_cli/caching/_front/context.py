"""What all parts of one cache share: settings, names, counters, and one runtime per event loop."""

from __future__ import annotations

from asyncio import get_running_loop

from langcache_cli.caching._config.settings import CacheSettings
from langcache_cli.caching._errors import CacheUnavailableError
from langcache_cli.caching._fork import call_in_child
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
from langcache_cli.caching._sync.background_loop import background_loop
from langcache_cli.caching._sync.thread_connections import ThreadConnections, connections_of
from langcache_cli.caching._sync.thread_reads import ThreadReads
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
        self._thread_reads: dict[FunctionSpec, ThreadReads] = {}
        self._thread_connections: ThreadConnections | None = None
        call_in_child(self, "_forget_threads")
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

    def thread_reads(self, spec: FunctionSpec) -> ThreadReads | None:
        """How threads without an event loop read by themselves; None while they go through the loop."""
        reads = self._thread_reads.get(spec)
        return reads if reads is not None else self._new_thread_reads(spec)

    def _new_thread_reads(self, spec: FunctionSpec) -> ThreadReads | None:
        runtime = self.runtimes.of(background_loop.running)
        reader: Reader | None = runtime.readers.get(spec) if runtime is not None else None
        if runtime is None or reader is None:
            return None
        if self._thread_connections is None:
            self._thread_connections = connections_of(runtime)
        reads = ThreadReads.of(reader, self._thread_connections)
        if reads is not None:
            self._thread_reads[spec] = reads
            reader.call_at_end(self._forget_threads)
        return reads

    def _forget_threads(self) -> None:
        """In the child of a fork, and once the runtime of the background loop was closed."""
        self._thread_connections = None
        self._thread_reads = {}

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
