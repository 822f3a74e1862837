"""A clock that stands still until a test turns it."""

from __future__ import annotations

from langcache_cli.caching._clock import now_ms


class FakeClock:
    """The time of day for `memory_cache`: entries end when the test says so, not when time passes.

    Waiting for a load, budgets and leases under renewal go by the event loop, not by this clock.
    """

    def __init__(self) -> None:
        """Begin now."""
        self._now_ms = now_ms()

    def now_ms(self) -> int:
        """Milliseconds since 1970, UTC."""
        return self._now_ms

    def advance(self, seconds: float) -> None:
        """Let time pass; negative seconds set the clock back."""
        self._now_ms += round(seconds * 1000)
