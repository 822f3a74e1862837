"""A clock that advances only when a test advances it."""

from __future__ import annotations

from langcache_cli.caching._clock import now_ms


class FakeClock:
    """The time of day of a `memory_cache`: entries expire when the test advances the clock.

    Waiting for a load, budgets and the renewal of leases follow the event loop, not this clock.
    """

    def __init__(self) -> None:
        """Start at the current time."""
        self._now_ms = now_ms()

    def now_ms(self) -> int:
        """Milliseconds since 1970, UTC."""
        return self._now_ms

    def advance(self, seconds: float) -> None:
        """Advance the clock; negative ``seconds`` set it back."""
        self._now_ms += round(seconds * 1000)
