"""Everything that a cache holds on behalf of one event loop: connections, running loads, background work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from langcache_cli.caching._admission import Admission
from langcache_cli.caching._background import Background
from langcache_cli.caching._config.settings import CacheSettings
from langcache_cli.caching._deployment.new_server import new_server
from langcache_cli.caching._deployment.route import Route
from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._invalidation.delivery import Delivery
from langcache_cli.caching._invalidation.invalidator import Invalidator
from langcache_cli.caching._invalidation.outbox import Outbox
from langcache_cli.caching._keys.selection import Invalidation
from langcache_cli.caching._near.new_near_cache import new_near_cache
from langcache_cli.caching._near.tracking import NearCache
from langcache_cli.caching._protocol.entry import Entry
from langcache_cli.caching._protocol.lease import Lease
from langcache_cli.caching._protocol.store import Store
from langcache_cli.caching._runtime.last_deliveries import deliver_the_rest
from langcache_cli.caching._runtime.loop_end import LoopEnd
from langcache_cli.caching._single_flight.key_watch import KeyWatch
from langcache_cli.caching._single_flight.lease_keeper import LeaseKeeper
from langcache_cli.caching._single_flight.lease_renewal import LeaseRenewal, LeaseRenewals
from langcache_cli.caching._single_flight.running_loads import RunningLoads
from langcache_cli.caching._single_flight.uncacheable_keys import UncacheableKeys
from langcache_cli.caching._statistics.counters import Statistics
from langcache_cli.caching._statistics.events import Events
from langcache_cli.caching._statistics.fleet.fleet import Fleet
from langcache_cli.caching._statistics.labels import OUTBOX, Label
from langcache_cli.caching._statistics.publisher import Publisher
from langcache_cli.caching._tasks import close_left, end_all
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.externals import Externals
from langcache_cli.caching._wire.handshake import connect
from langcache_cli.caching._wire.outage_log import OutageLog
from langcache_cli.caching._wire.redis_py_client import LoopClient

T = TypeVar("T")

CALLS_PER_TURN = 8, 24
"""So many calls, at least and at most, begin or end a load, or bypass the cache, in one turn; 0.1 ms each."""

BULK_TIMEOUT_SECONDS = 10.0
"""For each step of an operation on many keys: such operations belong to no request, and may wait."""


class Runtime:
    """The part of a cache that belongs to one event loop."""

    def __init__(
        self,
        settings: CacheSettings,
        statistics: Statistics,
        outbox: Outbox,
        events: Events,
        outages: OutageLog,
        *,
        externals: Externals,
        publish_statistics: bool,
        defer_invalidations: bool,
    ) -> None:
        """Prepare; connects at the first command. See `Cache` for the arguments."""
        self.loop = asyncio.get_running_loop()
        self.settings = settings
        self.statistics = statistics
        self.outbox = outbox
        self.events = events
        self.now_ms = externals.now_ms
        self.background = Background(self.loop)
        self.spawn = self.background.spawn
        self._open_servers(externals, outages if defer_invalidations else None)  # a tool gets the errors
        self.store = Store(self.server, lease_seconds=settings.lease_seconds, now_ms=self.now_ms)
        self.bulk_store = Store(self.bulk_server, lease_seconds=settings.lease_seconds, now_ms=self.now_ms)
        self.fleet = Fleet(self.server, self.bulk_server, settings, now_ms=self.now_ms, spawn=self.spawn)
        self.publisher = Publisher(
            statistics,
            self.fleet,
            every_seconds=settings.stats_flush_seconds if publish_statistics else None,
            spawn=self.spawn,
            now_ms=self.now_ms,
        )
        self._open_side_connections(enabled=externals.connect is connect)
        self._delivery = self._new_delivery()
        self.invalidator = self._new_invalidator(defers=defer_invalidations)
        self.client = LoopClient(settings, asks=not externals.in_memory)
        self.admission = Admission(*CALLS_PER_TURN)  # before each larger step of a call that is no hit
        self.running_loads = RunningLoads(wake=self.admission.resolve, on_background=self.background.adopt)
        self.readers: dict[FunctionSpec, Any] = {}
        """The `Reader` of each function that was called; not typed, as it belongs to a layer above."""
        self.uncacheable = UncacheableKeys()
        self._loop_end = LoopEnd()
        self._near: NearCache | None = None

    def _open_servers(self, externals: Externals, outages: OutageLog | None) -> None:
        settings = self.settings
        self._route = route = Route(settings.target, externals, timeout=settings.operation_timeout)
        self.server = new_server(
            route,
            timeout=settings.operation_timeout,
            on_connect=self._connected,
            on_moved=self._moved,
            outages=outages,
        )
        self.bulk_server = new_server(route, timeout=BULK_TIMEOUT_SECONDS)
        """Connections of its own for operations on many keys."""

    def _open_side_connections(self, *, enabled: bool) -> None:
        """Prepare what connects for itself; nothing does where ``enabled`` is False."""
        keeper, load_timeout = LeaseKeeper.of(self.settings) if enabled else None, self.settings.load_timeout
        self.key_watch = KeyWatch(
            self.server.address_of,
            timeout=self.settings.operation_timeout,
            connect=self._route.connect,
            spawn=self.spawn,
            enabled=enabled,
        )
        self._renewals = {
            store.server: LeaseRenewals(store, load_timeout=load_timeout, spawn=self.spawn, keeper=keeper)
            for store in (self.store, self.bulk_store)
        }

    def _new_delivery(self) -> Delivery:
        return Delivery(
            *(self.outbox, self.server),
            spawn=self.spawn,
            count=lambda counter, number: self.record(OUTBOX, counter, number),
            on_overflow=self.fleet.events.overflowed,
        )

    def _new_invalidator(self, *, defers: bool) -> Invalidator:
        return Invalidator(
            self.store,
            self.outbox,
            delivery=self._delivery if defers else None,
            # A request must not wait for a hung Redis; what it does not answer in time goes to the outbox.
            selection_server=self.server if defers else self.bulk_server,
            forget=self.forget,
            count=lambda counter, number: self.record(OUTBOX, counter, number),
        )

    # -- reading --

    def may_read(self, keys: Sequence[str]) -> bool:
        """False while an invalidation of this process is unconfirmed that concerns an entry.

        Then Redis may hold an old value. Schedules the delivery of what is unconfirmed.

        Args:
            keys: Of the entry and its tags.
        """
        self._delivery.soon()
        return not self.outbox.concerns(keys)

    async def read_if_allowed(self, keys: Sequence[str], look_up: Callable[[], Awaitable[T]]) -> T | None:
        """The result of ``look_up``; None if Redis cannot be used, or may not be read (`may_read`)."""
        if not self.may_read(keys):
            return None
        try:
            found = await look_up()
        except CacheError:
            return None
        # checked again: a new connection may lead to a server that has lost invalidations
        return found if self.may_read(keys) else None

    def is_leased(self, entry: Entry, now_ms: int) -> bool:
        """True if the successor of an entry is being loaded, as far as the local clock can tell.

        A hint that saves a command: the server decides, by its own clock. A clock that is far from the
        server's gives no hint.
        """
        return 0 < entry.leased_until_ms - now_ms <= 2 * self.store.lease_ms

    def near(self) -> NearCache | None:
        """The near cache, made for the first function that asks; None if settings give it no memory."""
        if self._near is None:
            self._near = new_near_cache(self.server, self.settings)
        return self._near

    def forget(self, invalidations: Sequence[Invalidation]) -> None:
        """Drop from the near cache what this process has changed, before Redis pushes the change."""
        if self._near is not None:
            self._near.invalidate(invalidations)

    # -- loading --

    @property
    def longest_load_ms(self) -> int:
        """Upper bound for the time of a load that can still be stored."""
        return self.store.lease_ms + round(self.settings.load_timeout * 1000)

    def renewing(self, store: Store, leases: Sequence[Lease]) -> LeaseRenewal:
        """A context manager that prolongs leases, for as long as a load may take."""
        return LeaseRenewal(leases, self._renewals[store.server])

    def release_soon(self, store: Store, leases: Sequence[Lease], *, entries_too: bool = True) -> None:
        """Give leases back in the background; see `Store.release`. Does nothing while Redis is down."""
        if leases and not store.server.is_down:
            self.spawn(store.release(leases, entries_too=entries_too))

    # -- counting --

    def record(
        self,
        label: Label,
        counter: str,
        amount: int = 1,
        *,
        key: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Count something, and pass it to the event hooks."""
        self.statistics.add(label, counter, amount)
        self.publisher.soon()
        if self.events.asked:
            self.events.tell(counter, label, key, amount, seconds)

    # -- the end --

    def end_with_loop(self, close: Callable[[], Awaitable[None]]) -> None:
        """Await ``close`` before the loop ends, unless this runtime is closed earlier."""
        self._loop_end.watch(close)

    def abandon(self) -> None:
        """Drop the connections of a loop that has closed."""
        self._end_readers()
        self.publisher.end()
        self.client.abandon()
        close_left(self._abandon_connections())

    async def aclose(self) -> None:
        """Deliver invalidations and counters, end the background work, drop the connections.

        Cancelled, it still does all but deliver. Calls under way get their values and do not store them.
        """
        try:
            await deliver_the_rest(
                self.server,
                self.background,
                delivery=self._delivery,
                outbox=self.outbox,
                publisher=self.publisher,
            )
        finally:
            await self._end()

    def _abandon_connections(self) -> list[asyncio.Task[Any]]:
        connected = self.server, self.bulk_server, self.key_watch, self._route
        return [task for one in connected for task in one.abandon()]

    def _connected(self, connection: BatchedConnection) -> None:
        """Start over: the server may be another one than before, or have lost its data."""
        if self._near is not None:
            self._near.start_tracking(connection)
        self._delivery.connected(connection)

    def _moved(self, slots: frozenset[int]) -> None:
        """Slots of the cluster have got another owner; none: who has which has become known."""
        self._delivery.moved(slots)

    def _end_readers(self) -> None:
        if self._near is not None:
            self._near.stop()
        for reader in self.readers.values():
            reader.retire()
        self.readers.clear()

    async def _end(self) -> None:
        self._end_readers()
        self._delivery.stop()
        self.publisher.stop()
        await end_all(self._abandon_connections, self.background.tasks)
        self.publisher.end()
        await self._loop_end.forget()
        await self.client.aclose()
        await asyncio.sleep(0)  # the transports close their sockets in the next turn of the loop
        await end_all(self._abandon_connections, self.background.tasks)  # which the last replies have begun
