"""A clock that stands still while the event loop is busy: it measures the wait for Redis and nothing else.

A loop that is too busy to send a request, or to read the reply, makes every server look slow. Taking that
for an outage would send the calls to their functions, and add to its load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

TICK_SECONDS = 0.01
"""As much is charged of each stretch in which the loop is busy."""

NOTHING_SECONDS = 0.001
"""Too short to wait for once more."""


class IdleClock:
    """Seconds in which the event loop was free. It ticks while it is used; an idle process runs no timer.

    One tick serves all timers, so setting and cancelling one costs next to nothing.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timers: dict[Timer, None] = {}
        self._tick_handle: asyncio.TimerHandle | None = None
        self._due = 0.0
        self.busy = 0.0
        """Seconds that did not count, since it was made."""

    @property
    def ticking(self) -> bool:
        """Whether it is used."""
        return self._tick_handle is not None

    def time(self) -> float:
        """Never more behind than the loop was busy; starts anywhere."""
        now = self._loop.time()
        if self._tick_handle is None:
            self._set(now + TICK_SECONDS)
        return min(now, self._due) - self.busy

    def call_after(self, seconds: float, expire: Callable[[], object]) -> Timer:
        """Call ``expire`` after so many seconds of this clock, unless the timer is cancelled."""
        timer = Timer(self._timers, self.time() + seconds, expire)
        self._timers[timer] = None
        if timer.ends + self.busy < self._due - NOTHING_SECONDS:
            self._set(timer.ends + self.busy)
        return timer

    def _set(self, due: float) -> None:
        if self._tick_handle is not None:
            self._tick_handle.cancel()
        self._due = due
        self._tick_handle = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._tick_handle = None
        now = self._loop.time()
        self.busy += max(0.0, now - self._due)  # the loop's clock may be coarse: timers can be early
        time = now - self.busy
        for timer in [timer for timer in self._timers if timer.ends - time <= NOTHING_SECONDS]:
            timer.cancel()
            timer.expire()
        if self._timers:
            next_end = min(timer.ends for timer in self._timers)
            self._set(min(now + TICK_SECONDS, next_end + self.busy))


class Timer:
    """Something that happens when a `IdleClock` shows ``ends``."""

    __slots__ = ("_timers", "ends", "expire")

    def __init__(self, timers: dict[Timer, None], ends: float, expire: Callable[[], object]) -> None:
        self._timers = timers
        self.ends = ends
        self.expire = expire

    def cancel(self) -> None:
        """It does not happen any more."""
        self._timers.pop(self, None)
