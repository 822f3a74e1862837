"""Sending the contents of the outbox until Redis has confirmed them; timers do so in an idle process, too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from itertools import islice
from typing import Any

from langcache_cli.caching._deployment.confirmation import Confirmation
from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._invalidation.outbox import Outbox, Waiting
from langcache_cli.caching._keys.selection import Invalidation, Selection
from langcache_cli.caching._protocol.scanning import unlink
from langcache_cli.caching._wire.batched_connection import BatchedConnection

FIRST_RETRY_SECONDS = 0.05
LAST_RETRY_SECONDS = 1.0
"""The same pauses as between the probes of the breaker, which each attempt triggers."""

KEYS_PER_COMMAND = 500


class Delivery:
    """Fills and empties the outbox on behalf of one event loop."""

    def __init__(
        self,
        outbox: Outbox,
        server: Server,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        count: Callable[[str, int], object],
    ) -> None:
        """Prepare.

        Args:
            outbox: What to send.
            server: Where to.
            spawn: Runs an attempt in the background.
            count: Called with ``deferred`` or ``delivered`` and a number of invalidations.
        """
        self._outbox = outbox
        self._server = server
        self._spawn = spawn
        self._count = count
        self._loop = asyncio.get_running_loop()
        self._connections = 0
        self._timer: asyncio.TimerHandle | None = None
        self._under_way = False
        self._stopped = False
        self._is_cut_off = False
        """True from the end of a connection to the next one: that may lead to another server."""
        self._pause = 0.0

    def defer(self, invalidations: Iterable[Invalidation]) -> None:
        """Keep invalidations that Redis did not confirm, and send them until it does."""
        self._count("deferred", self._outbox.defer(invalidations))
        self.soon()

    def connected(self, connection: BatchedConnection) -> None:
        """Send again what was confirmed in the last minute by another server, or before a restart."""
        self._is_cut_off = False
        connection.call_at_end(self._connection_ended)
        self._connections += 1
        if number := self._outbox.defer_recent(connection.server, reconnected=self._connections > 1):
            self._count("deferred", number)
            self.soon()

    def soon(self) -> None:
        """Schedule an attempt, unless there is nothing to send or one is scheduled."""
        if (self._outbox or self._is_cut_off) and not (self._timer or self._under_way or self._stopped):
            self._timer = self._loop.call_later(self._pause, self._start)

    def stop(self) -> None:
        """Make no further attempts. The contents stay in the outbox, for the next event loop."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    async def now(self) -> None:
        """Send everything now.

        Raises:
            CacheError: Redis did not confirm all of it.
        """
        if self._is_cut_off:
            await self._meet_next_server()
        waiting = self._outbox.waiting()
        keys = iter([item for item in waiting if isinstance(item, str)])
        while batch := list(islice(keys, KEYS_PER_COMMAND)):
            confirmation = self._server.confirmation()
            await self._server.remove(batch)
            self._confirm({key: waiting[key] for key in batch}, confirmation)
        selections = [item for item in waiting if isinstance(item, Selection)]
        if selections:
            confirmation = self._server.confirmation()
            await unlink(self._server, *selections)
            self._confirm({item: waiting[item] for item in selections}, confirmation)

    def _connection_ended(self) -> None:
        """Also in an idle process, the next server gets what this one has confirmed lately."""
        if not self._loop.is_closed() and not self._stopped and self._outbox.has_recent():
            self._is_cut_off = True
            self.soon()

    async def _meet_next_server(self) -> None:
        """Connect, as long as there is something that another server may not have.

        Raises:
            CacheUnavailableError: No connection.
        """
        if self._outbox.has_recent():
            await self._server.connect()
        self._is_cut_off = False

    def _confirm(self, confirmed: dict[Invalidation, Waiting], by: Confirmation) -> None:
        self._count("delivered", self._outbox.delivered(confirmed, by.server()))

    def _start(self) -> None:
        self._timer = None
        self._under_way = True
        self._spawn(self._attempt())

    async def _attempt(self) -> None:
        try:
            await self.now()
        except CacheError:
            self._pause = min(max(2 * self._pause, FIRST_RETRY_SECONDS), LAST_RETRY_SECONDS)
        else:
            self._pause = 0.0
        finally:
            self._under_way = False
        self.soon()
