"""Doing much at a given speed: a rate limit for work on many keys."""

from __future__ import annotations

import asyncio
from time import monotonic

STEPS_PER_SECOND = 4
"""Large steps would be bursts between long pauses."""


class Pace:
    """No more than so many keys a second, on average since it was made."""

    def __init__(self, keys_per_second: float | None) -> None:
        """Begin now; None is as fast as can be.

        Raises:
            ValueError: The speed is not more than 0.
        """
        if keys_per_second is not None and not keys_per_second > 0:
            raise ValueError(f"the rate must be more than 0 keys a second, not {keys_per_second!r}")
        self._speed = keys_per_second
        self._started = monotonic()
        self._done = 0

    def step(self, largest: int) -> int:
        """How many keys to take at once, of no more than ``largest``."""
        return largest if self._speed is None else max(1, min(largest, int(self._speed / STEPS_PER_SECOND)))

    async def keep(self, count: int) -> None:
        """``count`` more were done: wait until it is time for the next."""
        self._done += count
        if self._speed is not None:
            await asyncio.sleep(max(0.0, self._started + self._done / self._speed - monotonic()))
