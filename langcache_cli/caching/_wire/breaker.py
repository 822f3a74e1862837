"""A circuit breaker: stops requests to a server that does not answer, and schedules recovery probes."""

from __future__ import annotations

FAILURES_TO_OPEN = 3
"""In a row. A single lost connection is normal: servers close idle connections and are restarted."""

FIRST_PROBE_SECONDS = 0.05
LAST_PROBE_SECONDS = 1.0
"""The pause between probes doubles from the first to the last: most outages are short."""


class Breaker:
    """Closed: requests may be sent. Open: they may not, and one probe at a time tests for recovery."""

    def __init__(self) -> None:
        self.open = False
        self._failures = 0
        self._probe_delay = FIRST_PROBE_SECONDS
        self._next_probe = 0.0

    @property
    def failing(self) -> bool:
        """True if the server did not answer when it was last asked."""
        return self._failures > 0

    def succeeded(self) -> None:
        """Record that the server answered."""
        self.open = False
        self._failures = 0
        self._probe_delay = FIRST_PROBE_SECONDS

    def failed(self, now: float) -> bool:
        """Record that the server did not answer.

        Args:
            now: Seconds, on the clock that is passed to `probe_due`.

        Returns:
            True if this failure opened the breaker.
        """
        self._failures += 1
        if self.open or self._failures < FAILURES_TO_OPEN:
            return False
        self.open = True
        self._next_probe = now + self._probe_delay
        return True

    def probe_due(self, now: float) -> bool:
        """True if a probe should be sent now; a True also schedules the next one."""
        if not self.open or now < self._next_probe:
            return False
        self._probe_delay = min(2 * self._probe_delay, LAST_PROBE_SECONDS)
        self._next_probe = now + self._probe_delay
        return True
