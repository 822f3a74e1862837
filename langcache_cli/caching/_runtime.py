"""What the cache holds on behalf of one event loop: connections, loads under way, short background work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from langcache_cli.caching._client import abandon_client, close_client, new_client
from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._flights import Flight, Landing
from langcache_cli.caching._ledger import Ledger
from langcache_cli.caching._server import Budget, Server
from langcache_cli.caching._settings import CacheSettings
from langcache_cli.caching._statistics import Statistics
from langcache_cli.caching._store import Lease, Store

if TYPE_CHECKING:
    from redis.asyncio import Redis

BULK_TIMEOUT_SECONDS = 10.0
"""For each step of the operations that walk many keys: they belong to no request, and may wait."""

RENEWALS_PER_LEASE = 3
"""A lease survives two renewals that went missing."""


class Runtime:
    """The cache, as seen from one event loop."""

    def __init__(self, settings: CacheSettings, statistics: Statistics, *, publish: bool = True) -> None:
        """Prepare; nothing is connected before the first command."""
        self.loop = asyncio.get_running_loop()
        self.settings = settings
        self.statistics = statistics
        self._publish = publish
        self.server = Server(settings.address, timeout=settings.operation_timeout)
        self.bulk = Server(settings.address, timeout=BULK_TIMEOUT_SECONDS)
        self.store = Store(self.server, lease_seconds=settings.lease_seconds)
        self.ledger = Ledger(self.bulk, settings.namespace)
        self._client: Redis | None = None
        self.flights: dict[str, Flight] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self._flush_timer: asyncio.TimerHandle | None = None

    def depart(self, token: str, work: Coroutine[Any, Any, Landing]) -> Flight:
        """Start a load that others can join by its token."""
        flight = Flight(self._forget_at_end(token, work), token=token)
        self.flights[token] = flight
        self.flush_statistics_soon()
        return flight

    async def _forget_at_end(self, token: str, work: Coroutine[Any, Any, Landing]) -> Landing:
        try:
            return await work
        finally:
            self.flights.pop(token, None)

    def keep(self, lease: Lease) -> Heartbeat:
        """Renew a lease until the heartbeat is stopped or the load's time is up."""
        return Heartbeat(self, lease)

    def release_soon(self, lease: Lease) -> None:
        """Give a lease back without making anybody wait for it."""
        self.spawn(self.store.release(lease, Budget(self.server.timeout)))

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run short work in the background. It may fail: it is help, not duty."""
        task = self.loop.create_task(_quietly(work), name="langcache-background")
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def flush_statistics_soon(self) -> None:
        """Write the counters within a few seconds; a timer, so that an idle process runs no task."""
        if self._publish and self._flush_timer is None:
            self._flush_timer = self.loop.call_later(self.settings.stats_flush_seconds, self._flush_now)

    def _flush_now(self) -> None:
        self._flush_timer = None
        self.spawn(self.flush_statistics())

    async def flush_statistics(self) -> None:
        """Add the counters to those of the fleet; when Redis is down they are kept for later.

        Raises:
            CacheError: They could not be delivered.
        """
        counts = self.statistics.take() if self._publish else {}
        if not counts:
            return
        try:
            await self.ledger.add(counts)
        except BaseException:
            self.statistics.merge(counts)
            self.flush_statistics_soon()
            raise

    @property
    def client(self) -> Redis:
        """A redis-py client that is closed with this runtime."""
        if self._client is None:
            self._client = new_client(self.settings)
        return self._client

    def abandon(self) -> None:
        """Drop the connections of a loop that has closed."""
        if self._client is not None:
            abandon_client(self._client)
        self.server.abandon()
        self.bulk.abandon()

    async def aclose(self) -> None:
        """Deliver the counters, end the background work, drop the connections."""
        if self._background:
            await asyncio.wait(self._background, timeout=self.server.timeout)
        with contextlib.suppress(CacheError):
            await self.flush_statistics()
        if self._flush_timer is not None:
            self._flush_timer.cancel()
        for task in tuple(self._background):
            task.cancel()
        await self.server.aclose()
        await self.bulk.aclose()
        if self._client is not None:
            await close_client(self._client)


class Heartbeat:
    """Renews a lease from a timer: a load that is quicker than that costs nothing."""

    def __init__(self, runtime: Runtime, lease: Lease) -> None:
        self._runtime = runtime
        self._lease = lease
        self._interval = runtime.settings.lease_seconds / RENEWALS_PER_LEASE
        self._ends = runtime.loop.time() + runtime.settings.load_timeout
        self._timer = runtime.loop.call_later(self._interval, self._beat)

    def stop(self) -> None:
        """No more renewals."""
        self._timer.cancel()

    def _beat(self) -> None:
        if self._runtime.loop.time() >= self._ends:
            return  # a load that hangs must not block others for ever: its lease may run out
        self._runtime.spawn(self._runtime.store.renew(self._lease, Budget(self._runtime.server.timeout)))
        self._timer = self._runtime.loop.call_later(self._interval, self._beat)


async def _quietly(work: Coroutine[Any, Any, Any]) -> None:
    with contextlib.suppress(CacheError):
        await work
