"""A clock that stands still while the event loop is busy: it measures the wait for Redis and nothing else.

A loop that is too busy to send a request, or to read the reply, makes every server look slow. Taking that
for an outage would send the calls to their functions, and add to its load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

TICK_SECONDS = 0.01
"""As much is charged of each stretch in which the loop is busy."""

NOTHING_SECONDS = 0.001
"""Too short to set a timer again for."""


class LoopClock:
    """Seconds in which the event loop was free, counted while somebody is inside ``with clock``."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._users = 0
        self._ticking = False
        self._due = 0.0
        self._busy = 0.0

    def __enter__(self) -> Self:
        self._users += 1
        if not self._ticking:
            self._ticking = True
            self._set(self._loop.time())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._users -= 1

    def time(self) -> float:
        """Never more behind than the loop was busy; starts anywhere."""
        return min(self._loop.time(), self._due) - self._busy

    def _set(self, now: float) -> None:
        self._due = now + TICK_SECONDS
        self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        if not self._users:
            self._ticking = False  # an idle process runs no timer
            return
        now = self._loop.time()
        self._busy += max(0.0, now - self._due)  # the loop's clock may be coarse: timers can be early
        self._set(now)


class Deadline:
    """Calls ``expire`` after some seconds of a clock that somebody is inside of."""

    __slots__ = ("_clock", "_due", "_expire", "_loop", "_timer")

    def __init__(self, clock: LoopClock, seconds: float, expire: Callable[[], object]) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._due = clock.time() + seconds
        self._expire = expire
        self._timer = self._loop.call_later(seconds, self._look)

    def cancel(self) -> None:
        """Do not call it."""
        self._timer.cancel()

    def _look(self) -> None:
        left = self._due - self._clock.time()
        if left > NOTHING_SECONDS:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._expire()
