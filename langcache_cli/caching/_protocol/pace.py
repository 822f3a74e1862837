"""A rate limit for work on many keys."""

from __future__ import annotations

import asyncio
from time import monotonic

STEP = 20
"""Keys per command at a limited rate. So few take the server a tenth of a millisecond; fewer would
cost more in round trips than they free."""

STEPS_PER_SECOND = 500
"""Upper bound for the commands per second; at higher rates each has more keys."""

CATCH_UP_SECONDS = 0.1
"""Upper bound for lost time that is made up for: a server that has just recovered must not be overrun."""


class Pace:
    """Spreads work over time: at most so many keys a second."""

    def __init__(self, keys_per_second: float | None) -> None:
        """Begin now; None sets no limit.

        Raises:
            ValueError: The rate is not more than 0.
        """
        if keys_per_second is not None and not keys_per_second > 0:
            raise ValueError(f"the rate must be more than 0 keys a second, not {keys_per_second!r}")
        self._rate = keys_per_second
        self._started = monotonic()
        self._done = 0

    def step(self, largest: int) -> int:
        """The number of keys for one command, at most ``largest``."""
        if self._rate is None:
            return largest
        return max(1, min(largest, max(STEP, int(self._rate / STEPS_PER_SECOND)), int(self._rate)))

    def gathered(self, largest: int) -> int:
        """The number of keys to gather for one command: those of a tenth of a second, at most ``largest``."""
        return largest if self._rate is None else max(1, min(largest, int(self._rate / 10)))

    async def keep(self, count: int) -> None:
        """Record that ``count`` keys are done, and wait until it is time for the next."""
        self._done += count
        if self._rate is not None:
            early = self._started + self._done / self._rate - monotonic()
            self._started += max(0.0, -early - CATCH_UP_SECONDS)
            await asyncio.sleep(max(0.0, early))
