"""A clock that stands still while the event loop is busy: it measures the wait for Redis and nothing else.

A loop too busy to send a request or to read the reply makes every server look slow. Taken for an outage, that
would send all calls to their functions and add to the load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

TICK_SECONDS = 0.01
"""At most so much of one busy stretch of the loop is counted."""

BUSY_FACTOR = 10
"""A timer gives up after so many times its seconds of real time ..."""

BUSY_TICKS = 10
"""... in which the loop came round so often: in one long stretch no reply could have been read."""

RESOLUTION_SECONDS = 0.001
"""A timer due within this time runs now: waiting for it would cost another turn of the loop."""


class IdleClock:
    """Seconds in which the event loop was free. It ticks only while timers are set or it is read.

    One tick serves all timers, so setting and cancelling a timer costs next to nothing.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timers: dict[Timer, None] = {}
        self._tick_handle: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._ticks = 0
        self.busy = 0.0
        """Seconds not counted since the clock was made."""

    @property
    def ticking(self) -> bool:
        """True while a tick is scheduled."""
        return self._tick_handle is not None

    def time(self) -> float:
        """Seconds; the origin is arbitrary."""
        now = self._loop.time()
        if self._tick_handle is None:
            self._schedule(now + TICK_SECONDS)
        return min(now, self._due) - self.busy

    def call_after(
        self, seconds: float, expire: Callable[[], object], *, give_up: Callable[[], object] | None = None
    ) -> Timer:
        """Call ``expire`` after ``seconds`` of this clock, unless the timer is cancelled.

        Args:
            seconds: How long to wait.
            expire: What to call then.
            give_up: Called once before that, if the loop is so busy that the wait takes much longer than
                ``seconds``.
        """
        timer = Timer(self._timers, self.time() + seconds, expire)
        if give_up is not None:
            timer.give_up = give_up
            timer.gives_up_at = self._loop.time() + BUSY_FACTOR * seconds
            timer.gives_up_at_tick = self._ticks + BUSY_TICKS
        self._timers[timer] = None
        if timer.ends + self.busy < self._due - RESOLUTION_SECONDS:
            self._schedule(timer.ends + self.busy)
        return timer

    def _schedule(self, due: float) -> None:
        if self._tick_handle is not None:
            self._tick_handle.cancel()
        self._due = due
        self._tick_handle = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._tick_handle = None
        now = self._loop.time()
        self.busy += max(0.0, now - self._due)  # negative when a coarse loop clock fires a timer early
        self._ticks += 1
        time = now - self.busy
        for timer in [timer for timer in self._timers if timer.is_late(now, self._ticks)]:
            give_up, timer.give_up = timer.give_up, None
            if give_up is not None:
                give_up()
        for timer in [timer for timer in self._timers if timer.ends - time <= RESOLUTION_SECONDS]:
            timer.cancel()
            timer.expire()
        if self._timers:
            next_end = min(timer.ends for timer in self._timers)
            self._schedule(min(now + TICK_SECONDS, next_end + self.busy))


class Timer:
    """A callback that runs when an `IdleClock` shows ``ends``."""

    __slots__ = ("_timers", "ends", "expire", "give_up", "gives_up_at", "gives_up_at_tick")

    def __init__(self, timers: dict[Timer, None], ends: float, expire: Callable[[], object]) -> None:
        self._timers = timers
        self.ends = ends
        self.expire = expire
        self.give_up: Callable[[], object] | None = None
        self.gives_up_at = 0.0
        self.gives_up_at_tick = 0

    def is_late(self, now: float, ticks: int) -> bool:
        """True if it is time to give up."""
        return self.give_up is not None and now >= self.gives_up_at and ticks >= self.gives_up_at_tick

    def cancel(self) -> None:
        """Drop the callback; does nothing once it has run."""
        self._timers.pop(self, None)
