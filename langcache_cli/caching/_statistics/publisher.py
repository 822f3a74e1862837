"""Adding what this process has counted to the numbers of the fleet, now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from langcache_cli.caching._statistics.counters import Statistics
from langcache_cli.caching._statistics.fleet_totals import FleetTotals


class Publisher:
    """Empties the statistics on behalf of one event loop."""

    def __init__(
        self,
        statistics: Statistics,
        ledger: FleetTotals,
        *,
        every_seconds: float | None,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        """Publish nothing yet.

        Args:
            statistics: What was counted.
            ledger: Where it goes.
            every_seconds: How long to wait for more; None publishes nothing.
            spawn: Runs work in the background.
        """
        self.timer: asyncio.TimerHandle | None = None
        """Set while there is something to publish; a timer, so that an idle process runs no task."""
        self._statistics = statistics
        self._ledger = ledger
        self._every_seconds = every_seconds
        self._spawn = spawn
        self._loop = asyncio.get_running_loop()

    def soon(self) -> None:
        """Publish within a few seconds."""
        if self.timer is None and self._every_seconds is not None:
            self.timer = self._loop.call_later(self._every_seconds, self._begin)

    async def now(self) -> None:
        """Publish; when Redis is down the numbers are kept for later.

        Cancelled, it is finished in the background: what was half delivered would be counted twice.

        Raises:
            CacheError: They could not be delivered.
        """
        delivery = self._spawn(self._deliver())
        await asyncio.wait([delivery])
        delivery.result()

    def stop(self) -> None:
        """Begin no more by itself."""
        if self.timer is not None:
            self.timer.cancel()

    def _begin(self) -> None:
        self.timer = None
        self._spawn(self._deliver())

    async def _deliver(self) -> None:
        counts = self._statistics.take() if self._every_seconds is not None else {}
        if not counts:
            return
        try:
            await self._ledger.add(counts)
        except BaseException:
            self._statistics.give_back(counts)
            self.soon()
            raise
