"""Stops asking a server that does not answer, and says when to try again."""

from __future__ import annotations

FAILURES_TO_OPEN = 3
"""In a row. One lost connection is an accident: servers close idle connections and are restarted."""

FIRST_PROBE_SECONDS = 0.05
LAST_PROBE_SECONDS = 1.0
"""Probes start close together, because most outages are short, and slow down to one a second."""


class Breaker:
    """Closed: requests may be sent. Open: they may not, and one probe at a time tests for recovery."""

    def __init__(self) -> None:
        self.open = False
        self._failures = 0
        self._probe_delay = FIRST_PROBE_SECONDS
        self._next_probe = 0.0

    def succeeded(self) -> None:
        """The server answered."""
        self.open = False
        self._failures = 0
        self._probe_delay = FIRST_PROBE_SECONDS

    def failed(self, now: float) -> bool:
        """The server did not answer.

        Args:
            now: Seconds on the clock that `probe_due` is asked with.

        Returns:
            Whether this failure opened the breaker.
        """
        self._failures += 1
        if self.open or self._failures < FAILURES_TO_OPEN:
            return False
        self.open = True
        self._next_probe = now + self._probe_delay
        return True

    def probe_due(self, now: float) -> bool:
        """Whether a probe should be sent now; asking moves the next one back."""
        if not self.open or now < self._next_probe:
            return False
        self._probe_delay = min(2 * self._probe_delay, LAST_PROBE_SECONDS)
        self._next_probe = now + self._probe_delay
        return True
