"""What the cache holds on behalf of one event loop: connections, loads under way, short background work."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from langcache_cli.caching._config.settings import CacheSettings
from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._invalidation.delivery import Delivery
from langcache_cli.caching._invalidation.outbox import Outbox
from langcache_cli.caching._keys.selection import Invalidation
from langcache_cli.caching._near.memory import NearMemory
from langcache_cli.caching._near.tracking import NearCache
from langcache_cli.caching._protocol.entry import Entry
from langcache_cli.caching._protocol.store import Lease, Store
from langcache_cli.caching._single_flight.flight import Flight, LoadResult
from langcache_cli.caching._single_flight.lease_renewal import LeaseRenewal
from langcache_cli.caching._single_flight.running_loads import RunningLoads
from langcache_cli.caching._single_flight.uncacheable_keys import UncacheableKeys
from langcache_cli.caching._statistics.counters import Statistics
from langcache_cli.caching._statistics.events import CacheEvent, Events
from langcache_cli.caching._statistics.fleet_totals import FleetTotals
from langcache_cli.caching._statistics.labels import OUTBOX, Label
from langcache_cli.caching._statistics.publisher import Publisher
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.externals import Externals
from langcache_cli.caching._wire.node import Node
from langcache_cli.caching._wire.redis_py_client import abandon_client, close_client, new_client
from langcache_cli.caching._wire.write_batch import BatchedConnection

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from langcache_cli.caching._functions.spec import FunctionSpec
    from langcache_cli.caching._loading.reader import Reader

logger = logging.getLogger("langcache_cli.caching")

T = TypeVar("T")

BULK_TIMEOUT_SECONDS = 10.0
"""For each step of the operations that walk many keys: they belong to no request, and may wait."""


class Runtime:
    """The cache, as seen from one event loop."""

    def __init__(
        self,
        settings: CacheSettings,
        statistics: Statistics,
        outbox: Outbox,
        events: Events,
        *,
        externals: Externals,
        publish: bool = True,
    ) -> None:
        """Prepare; nothing is connected before the first command."""
        self.loop = asyncio.get_running_loop()
        self.settings = settings
        self.statistics = statistics
        self.outbox = outbox
        self.events = events
        self.node = Node(
            settings.address,
            timeout=settings.operation_timeout,
            connect=externals.connect,
            on_connect=self._connected,
        )
        self.bulk_node = Node(settings.address, timeout=BULK_TIMEOUT_SECONDS, connect=externals.connect)
        self.now_ms = now_ms = externals.now_ms
        self.store = Store(self.node, lease_seconds=settings.lease_seconds, now_ms=now_ms)
        self.fleet_totals = FleetTotals(self.bulk_node, settings.namespace, now_ms=now_ms)
        self.publisher = Publisher(
            statistics,
            self.fleet_totals,
            every_seconds=settings.stats_flush_seconds if publish else None,
            spawn=self.spawn,
        )
        self._delivery = Delivery(
            outbox,
            self.node,
            spawn=self.spawn,
            on_delivered=lambda count: self.record(OUTBOX, "delivered", count),
        )
        self._client: Redis | None = None
        self.running_loads = RunningLoads(keep=self._keep_flight)
        self.readers: dict[FunctionSpec, Reader] = {}
        """What answers the calls of a function, once it has been called."""
        self.uncacheable = UncacheableKeys()
        self._background: set[asyncio.Task[Any]] = set()
        self._sentinel: AsyncGenerator[None, None] | None = None
        self._near: NearCache | None = None

    def end_with_loop(self, close: Callable[[], Awaitable[None]]) -> None:
        """Have ``close`` awaited before the loop ends, if nobody closes this runtime earlier.

        `asyncio.run`, like every runner that ends a loop in good order, closes the async generators of
        its loop. One that does nothing else is the only notice of the end that a library can get.
        """
        self._sentinel = self._until_the_loop_ends(close)
        with contextlib.suppress(StopIteration):
            self._sentinel.asend(None).send(None)  # up to its yield, where it stays

    async def _until_the_loop_ends(self, close: Callable[[], Awaitable[None]]) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._sentinel = None  # `close` must not try to close what is waiting for it
            await close()

    def is_leased(self, entry: Entry, now_ms: int) -> bool:
        """Whether somebody loads the successor of an entry, as far as the local clock can tell.

        It is a hint that saves asking: the server decides, by its own clock. A clock that is far from the
        server's gives no hint.
        """
        return 0 < entry.leased_until_ms - now_ms <= 2 * self.store.lease_ms

    @property
    def longest_load_ms(self) -> int:
        """How long a load can go on and still be stored."""
        return self.store.lease_ms + round(self.settings.load_timeout * 1000)

    def record(
        self,
        label: Label,
        name: str,
        amount: int = 1,
        *,
        key: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Count something, and tell the hooks of it."""
        self.statistics.add(label, name, amount)
        self.publisher.soon()
        if self.events.hooks:
            self.events.tell(CacheEvent(name, label, key, amount, seconds))

    def may_read(self) -> bool:
        """Whether what Redis holds can be read_if_allowed: not before our invalidations are confirmed."""
        self._delivery.soon()
        return not self.outbox

    async def read_if_allowed(self, look: Callable[[], Awaitable[T]]) -> T | None:
        """What ``look`` finds in Redis; None when Redis cannot be used, or not be read_if_allowed yet."""
        if not self.may_read():
            return None
        try:
            found = await look()
        except CacheError:
            return None
        # asked again: a new connection may lead to a server that has forgotten invalidations
        return found if self.may_read() else None

    def defer(self, invalidations: Iterable[Invalidation]) -> None:
        """Keep invalidations that Redis did not confirm, and go on trying."""
        self.record(OUTBOX, "deferred", self.outbox.defer(invalidations))
        self._delivery.soon()

    def near(self) -> NearCache | None:
        """The near cache, there from the first function that wants one; None if there must be none."""
        if self._near is None and self.settings.near_cache_bytes:
            self._near = NearCache(NearMemory(self.settings.near_cache_bytes), self.settings.namespace)
            if self.node.out is not None:
                self._near.follow(self.node.out)
        return self._near

    def forget(self, invalidations: Sequence[Invalidation]) -> None:
        """Drop from the near cache what this process has changed, before the server says so."""
        if self._near is not None:
            self._near.forget(invalidations)

    def _connected(self, out: BatchedConnection) -> None:
        """The server may be another one than before, or have lost its memory."""
        if self._near is not None:
            self._near.follow(out)
        count = self.outbox.defer_recent()
        if count:
            self.record(OUTBOX, "deferred", count)
            self._delivery.soon()

    def keep(self, lease: Lease) -> LeaseRenewal:
        """Renew a lease until the heartbeat is stopped or the load's time is up."""
        return LeaseRenewal(self, lease)

    def release_soon(self, lease: Lease) -> None:
        """Give a lease back without making anybody wait for it; while Redis is down there is no way."""
        if not self.node.breaker.open:
            self.spawn(self.store.release(lease, Budget(self.node.timeout)))

    def _keep_flight(self, flight: Flight[LoadResult]) -> None:
        self._background.add(flight.task)
        flight.task.add_done_callback(self._background.discard)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run short work in the background. It may fail: it is help, not duty."""
        task = self.loop.create_task(work, name="langcache-background")
        self._background.add(task)
        task.add_done_callback(self._background_ended)
        return task

    def _background_ended(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, CacheError):
            self.loop.call_exception_handler(
                {"message": "background work of the cache failed", "exception": error}
            )

    @property
    def client(self) -> Redis:
        """A redis-py client that is closed with this runtime."""
        if self._client is None:
            self._client = new_client(self.settings)
        return self._client

    def abandon(self) -> None:
        """Drop the connections of a loop that has closed."""
        self._end_readers()
        if self._client is not None:
            abandon_client(self._client)
        self.node.abandon()
        self.bulk_node.abandon()

    async def aclose(self) -> None:
        """Deliver the counters, end the background work, drop the connections.

        Cancelled, it still does all but deliver. Calls under way get their values and do not store them.
        """
        try:
            if self._background:
                await asyncio.wait(self._background, timeout=self.node.timeout)
            await self._deliver_invalidations()
            with contextlib.suppress(CacheError):
                await self.publisher.now()
        finally:
            await self._end()

    async def _deliver_invalidations(self) -> None:
        try:
            await self._delivery.now()
        except CacheError as error:
            logger.warning(
                "%d invalidations were not delivered; if the process ends now, others go on serving "
                "what they should have removed, until it ends by itself: %s",
                len(self.outbox),
                error,
            )

    def _end_readers(self) -> None:
        if self._near is not None:
            self._near.end()
        for reader in self.readers.values():
            reader.retire()
        self.readers.clear()

    async def _end(self) -> None:
        self._end_readers()
        self._delivery.stop()
        self.publisher.stop()
        ending = [*self._background, *self.node.abandon(), *self.bulk_node.abandon()]
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)
        if self._sentinel is not None:
            await self._sentinel.aclose()
        if self._client is not None:
            await close_client(self._client)
        await asyncio.sleep(0)  # the transports close their sockets in the next iteration of the loop
