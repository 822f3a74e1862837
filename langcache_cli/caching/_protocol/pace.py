"""Doing much at a given speed: a rate limit for work on many keys."""

from __future__ import annotations

import asyncio
from time import monotonic

STEP = 20
"""Whoever limits the rate wants the server for others: so many keys take it a tenth of a millisecond. Fewer
at a time would cost more in round trips than they free."""

STEPS_PER_SECOND = 500
"""As many as there is time for; beyond that rate the steps become larger."""

MADE_UP_FOR_SECONDS = 0.1
"""More time that was lost is not caught up with: a server that has just recovered shall not be overrun."""


class Pace:
    """No more than so many keys a second."""

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
        if self._speed is None:
            return largest
        return max(1, min(largest, max(STEP, int(self._speed / STEPS_PER_SECOND)), int(self._speed)))

    def gathered(self, largest: int) -> int:
        """How many to let gather before they are done: what a tenth of a second allows, up to ``largest``."""
        return largest if self._speed is None else max(1, min(largest, int(self._speed / 10)))

    async def keep(self, count: int) -> None:
        """``count`` more were done: wait until it is time for the next."""
        self._done += count
        if self._speed is not None:
            early = self._started + self._done / self._speed - monotonic()
            self._started += max(0.0, -early - MADE_UP_FOR_SECONDS)
            await asyncio.sleep(max(0.0, early))
