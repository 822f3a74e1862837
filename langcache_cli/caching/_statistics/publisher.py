"""Background delivery of this process' counters to Redis, every few seconds while there are any."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from time import monotonic
from typing import Any

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._statistics.actor import acting_as, program_name
from langcache_cli.caching._statistics.counters import Statistics
from langcache_cli.caching._statistics.fleet.fleet import Fleet
from langcache_cli.caching._statistics.fleet.tiers import MINUTES
from langcache_cli.caching._wire.budget import Budget

CLOCK_STEP_SECONDS = 0.01
"""The clock and the event loop may differ by so much; a minute ends at most so much late."""

LESS_NEEDED_SECONDS = 1.0
"""For what follows a delivery of counters."""

JOB_SECONDS = 60.0
"""A process that lives longer is no job of a few seconds, of which there may be thousands a day."""


class Publisher:
    """Delivers the counters of the process from one event loop.

    Every loop of the process has one. All deliver the same `Statistics`; each count is taken by one of them.
    """

    def __init__(
        self,
        statistics: Statistics,
        fleet: Fleet,
        *,
        every_seconds: float | None,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        now_ms: Callable[[], int],
    ) -> None:
        """Start nothing yet.

        Args:
            statistics: The counters of the process.
            fleet: Where they are added.
            every_seconds: Seconds between a count and its delivery; None delivers nothing.
            spawn: Runs a coroutine as a background task.
            now_ms: The time, in milliseconds since 1970.
        """
        self.timer: asyncio.TimerHandle | None = None
        """Set while there is something to deliver. A timer, so that an idle process runs no task."""
        self._statistics = statistics
        self.writer = fleet.writer
        self._hot_keys = fleet.hot_keys
        self._eviction_guard = fleet.eviction_guard
        self._event_log = fleet.events
        self._every_seconds = every_seconds
        self._spawn = spawn
        self._now_ms = now_ms
        self._loop = asyncio.get_running_loop()
        self._due = 0.0
        self._minute = 0
        """The minute of what is pending, while `timer` is set."""
        self._turn = asyncio.Lock()

    @property
    def is_on(self) -> bool:
        """False if what is counted is never delivered."""
        return self._every_seconds is not None

    def soon(self) -> None:
        """Deliver after ``every_seconds``, unless a delivery is scheduled already."""
        if self.timer is None and self._every_seconds is not None:
            self._due = self._loop.time() + self._every_seconds
            self._minute = self._current_minute()
            self._set_timer()

    async def now(self, *, within: float | None = None) -> None:
        """Deliver now, in at most ``within`` seconds. What Redis does not confirm is kept for later.

        When the caller is cancelled the delivery goes on in the background.

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

    def end(self) -> None:
        """Leave to another loop what no delivery of this one, which has ended, has been confirmed for.

        If Redis added it all the same and only the confirmation was lost, it is added twice.
        """
        self._statistics.give_back(self.writer.unconfirmed())

    def _set_timer(self) -> None:
        """For the delivery or for the end of the minute, whichever comes first."""
        minute_left = self._minute + MINUTES.seconds - self._now_ms() / 1000
        wait = min(self._due - self._loop.time(), minute_left)
        self.timer = self._loop.call_later(max(wait, CLOCK_STEP_SECONDS), self._fire)

    def _fire(self) -> None:
        self._statistics.close_minute(self._minute)
        if self._loop.time() < self._due:
            self._minute = self._current_minute()
            self._set_timer()
        else:
            self.timer = None
            self._spawn(self._deliver_when_due())

    def _current_minute(self) -> int:
        return MINUTES.start(self._now_ms() // 1000)

    async def _deliver_when_due(self) -> None:
        await self._deliver()
        with suppress(CacheError):
            await self._eviction_guard.use_some(self.writer.parts, Budget(LESS_NEEDED_SECONDS))

    async def _deliver(self, within: float | None = None) -> None:
        if self._every_seconds is None:
            return
        try:
            async with asyncio.timeout(within):
                await self._turn.acquire()
        except TimeoutError:
            raise self.writer.too_slow() from None
        try:
            await self._deliver_in_turn(within)
        finally:
            self._turn.release()

    async def _deliver_in_turn(self, within: float | None) -> None:
        counts = self._statistics.take(self._current_minute() if self.timer is None else self._minute)
        if not counts and not self.writer.has_unconfirmed:
            return
        pid, started = os.getpid(), self._loop.time()
        try:
            await self.writer.add(counts, within=within)
        except BaseException:  # cancelled at the close, too: the counts are delivered later
            if pid == os.getpid():  # in a child these counts are the parent's
                self._statistics.give_back(counts)
                self.soon()
            raise
        self._note_start()
        left = LESS_NEEDED_SECONDS if within is None else within - (self._loop.time() - started)
        with suppress(CacheError):  # estimates, for which no delivery of counters should fail
            await self._hot_keys.deliver(Budget(max(left, 0.0)))

    def _note_start(self) -> None:
        """Note once when the process started, so that a deployment can be seen beside the numbers."""
        statistics = self._statistics
        seconds = monotonic() - statistics.began
        if not statistics.start_is_noted and seconds >= JOB_SECONDS:
            statistics.start_is_noted = True
            with acting_as(via="api"):  # the timer may have been set for a request of another actor
                self._event_log.write_soon("start", program_name(), count=1, seconds=seconds)
