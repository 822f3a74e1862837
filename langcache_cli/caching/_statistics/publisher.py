"""Background delivery of this process' counters to Redis, every few seconds while there are any."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any

from langcache_cli.caching._statistics.counters import Statistics
from langcache_cli.caching._statistics.fleet_totals import FleetTotals


class Publisher:
    """Delivers the counters of the process from one event loop.

    Every loop of the process has one. All deliver the same `Statistics`; each count is taken by one of them.
    """

    def __init__(
        self,
        statistics: Statistics,
        fleet_totals: FleetTotals,
        *,
        every_seconds: float | None,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        """Start nothing yet.

        Args:
            statistics: The counters of the process.
            fleet_totals: Where they are added.
            every_seconds: Seconds between a count and its delivery; None delivers nothing.
            spawn: Runs a coroutine as a background task.
        """
        self.timer: asyncio.TimerHandle | None = None
        """Set while there is something to deliver. A timer, so that an idle process runs no task."""
        self._statistics = statistics
        self._fleet_totals = fleet_totals
        self._every_seconds = every_seconds
        self._spawn = spawn
        self._loop = asyncio.get_running_loop()

    def soon(self) -> None:
        """Deliver after ``every_seconds``, unless a delivery is scheduled already."""
        if self.timer is None and self._every_seconds is not None:
            self.timer = self._loop.call_later(self._every_seconds, self._begin)

    async def now(self, *, within: float | None = None) -> None:
        """Deliver now, in at most ``within`` seconds. What Redis does not confirm is kept for later.

        When the caller is cancelled the delivery goes on in the background: one that stopped half-way could
        have added its counts, and giving them back would count them twice.

        Raises:
            CacheError: The counters may not have been delivered.
        """
        delivery = self._spawn(self._deliver(within))
        await asyncio.wait([delivery])
        delivery.result()

    def stop(self) -> None:
        """Cancel the scheduled delivery."""
        if self.timer is not None:
            self.timer.cancel()

    def _begin(self) -> None:
        self.timer = None
        self._spawn(self._deliver())

    async def _deliver(self, within: float | None = None) -> None:
        counts = self._statistics.take() if self._every_seconds is not None else {}
        if not counts:
            return
        pid = os.getpid()
        try:
            await self._fleet_totals.add(counts, within=within)
        except BaseException:  # cancelled at the close, too: the counts are delivered later
            if pid == os.getpid():  # in a child these counts are the parent's
                self._statistics.give_back(counts)
                self.soon()
            raise
