"""Sending the contents of the outbox until Redis has confirmed them; timers do so in an idle process, too."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping, Sequence
from typing import Any

from langcache_cli.caching._deployment.cluster.slots import ALL_SLOTS, bits_of
from langcache_cli.caching._deployment.server import Server, Share
from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._invalidation.outbox import Outbox
from langcache_cli.caching._invalidation.waiting import Waiting
from langcache_cli.caching._keys.selection import Invalidation, Selection
from langcache_cli.caching._protocol.scanning import sweep
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.budget import Budget

FIRST_RETRY_SECONDS = 0.05
LAST_RETRY_SECONDS = 1.0
"""The same pauses as between the probes of the breaker, which each attempt triggers."""

KEYS_PER_COMMAND = 500

MEETING_SHARE = 1 / 3
"""Of the time for one delivery to a cluster: so long it may wait for connections to nodes that were lost."""


class Delivery:
    """Fills and empties the outbox on behalf of one event loop."""

    def __init__(
        self,
        outbox: Outbox,
        server: Server,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        count: Callable[[str, int], object],
        on_overflow: Callable[[int], object],
    ) -> None:
        """Prepare.

        Args:
            outbox: What to send.
            server: Where to.
            spawn: Runs an attempt in the background.
            count: Called with ``deferred`` or ``delivered`` and a number of invalidations.
            on_overflow: Called with a number of invalidations that were too many for the outbox, once the one
                that took their place was confirmed.
        """
        self._outbox = outbox
        self._server = server
        self._spawn = spawn
        self._count = count
        self._on_overflow = on_overflow
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._under_way = False
        self._stopped = False
        self._is_cut_off = False
        """True from the end of a connection to the next one: that may lead to another server."""
        self._pause = 0.0

    def defer(self, invalidations: Iterable[Invalidation], *, slots: int = ALL_SLOTS) -> None:
        """Keep invalidations that Redis did not confirm, and send them until it does.

        Args:
            invalidations: The invalidations.
            slots: Where selections were not confirmed.
        """
        self._count("deferred", self._outbox.defer(invalidations, slots=slots))
        self.soon()

    def connected(self, connection: BatchedConnection) -> None:
        """Send again what was confirmed in the last minute by another server, or before a restart."""
        connection.call_at_end(self._connection_ended)
        if not self._server.is_cluster:
            self._is_cut_off = False
        if self._outbox.has_recent() and (share := self._server.share_of(connection)):
            self._replay(share, connection)

    def moved(self, slots: frozenset[int]) -> None:
        """Send again what was confirmed in the last minute in slots that have got another owner.

        Args:
            slots: The slots; none when it has become known for the first time who has which.
        """
        if not self._outbox.has_recent():
            return
        if slots and (number := self._outbox.defer_moved(bits_of(slots))):
            self._count("deferred", number)
            self.soon()
        for share in self._server.shares() if not slots else ():
            if (connection := share.node.connection) is not None and connection.alive:
                self._replay(share, connection)

    def _replay(self, share: Share, connection: BatchedConnection) -> None:
        reconnected = share.node.connections_made > 1
        if number := self._outbox.defer_recent(connection.server, reconnected=reconnected, slots=share.slots):
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

    async def now(self, *, within: float | None = None) -> None:
        """Send everything now.

        Args:
            within: How many seconds a node that does not answer may take in all; one that answers takes as
                long as there is something for it. None lets each command take the server's own time.

        Raises:
            CacheError: Redis did not confirm all of it.
        """
        started = self._server.clock.time()
        problem: CacheError | None = None
        if self._is_cut_off:
            try:
                await self._meet_next_server(within)
            except CacheError as error:
                if not self._server.is_cluster:
                    raise
                problem = error  # the other nodes get what is theirs
        waiting = self._outbox.waiting()
        of_node = defaultdict[Hashable, list[str]](list)
        for item in waiting:
            if isinstance(item, str):
                of_node[self._server.source_of(item)].append(item)
        left = None if within is None else within - (self._server.clock.time() - started)
        work = [self._send(keys, waiting, left) for keys in of_node.values()]
        if self._server.is_cluster:  # a node that hangs delays nothing that the others are to remove
            work.append(self._sweep(waiting, left))
        for found in await asyncio.gather(*work):
            problem = problem or found
        if problem is None and not self._server.is_cluster:
            problem = await self._sweep(waiting, left)
        if problem is not None:
            raise problem

    async def _send(
        self, keys: Sequence[str], waiting: Mapping[Invalidation, Waiting], within: float | None
    ) -> CacheError | None:
        """Remove keys of one node; returns why not all could be."""
        for start in range(0, len(keys), KEYS_PER_COMMAND):
            budget = None if within is None else Budget(within)
            try:
                removal = await self._server.removal(keys[start : start + KEYS_PER_COMMAND], budget=budget)
            except CacheError as error:
                return error
            for confirmed, server in removal.confirmed:
                self._delivered(self._outbox.delivered({key: waiting[key] for key in confirmed}, server))
            if removal.problem is not None:
                return removal.problem
        return None

    async def _sweep(
        self, waiting: Mapping[Invalidation, Waiting], within: float | None
    ) -> CacheError | None:
        """Remove selections where they are still to do; returns why that was not possible everywhere."""
        selections: dict[Invalidation, Waiting] = {
            item: seen for item, seen in waiting.items() if isinstance(item, Selection)
        }
        if not selections:
            return None
        slots = 0
        for seen in selections.values():
            slots |= seen.slots
        what = [item for item in selections if isinstance(item, Selection)]
        try:
            swept = await sweep(self._server, *what, slots=slots, patience=within)
        except CacheError as error:
            return error
        for done, server in swept.confirmed:
            number = self._outbox.delivered(selections, server, slots=done)
            self._delivered(number)
            if number > self._outbox.limit and self._outbox.everything in selections:
                self._on_overflow(number)
        if swept.left and swept.problem is None:
            return self._server.unavailable("no node serves some of the slots")
        return swept.problem

    def _delivered(self, number: int) -> None:
        if number:
            self._count("delivered", number)

    def _connection_ended(self) -> None:
        """Also in an idle process, the next server gets what this one has confirmed lately."""
        if not self._loop.is_closed() and not self._stopped and self._outbox.has_recent():
            self._is_cut_off = True
            self.soon()

    async def _meet_next_server(self, within: float | None) -> None:
        """Connect, as long as there is something that another server may not have.

        Raises:
            CacheUnavailableError: No connection.
        """
        self._is_cut_off = False  # first: another connection may end meanwhile
        try:
            if self._outbox.has_recent():
                share = MEETING_SHARE if self._server.is_cluster else 1
                async with asyncio.timeout(None if within is None else within * share):
                    await self._server.connect(self._outbox.recent_slots())
        except TimeoutError as error:
            self._is_cut_off = True
            raise self._server.unavailable("no connection in time") from error
        except (CacheError, asyncio.CancelledError):
            self._is_cut_off = True
            raise

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
