"""Thresholds of hit rates and latencies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "critical", "unknown"]
Verdict = tuple[State, str]
"""The state, and the reason; empty if all is well."""

HUNDRED = 100


@dataclass(frozen=True, slots=True)
class _Limits:
    """Two limits; None for none.

    Attributes:
        warning: Beyond it a person should look.
        critical: Beyond it the command fails.
    """

    warning: float | None = None
    critical: float | None = None

    @property
    def given(self) -> bool:
        """True if there is a limit."""
        return self.warning is not None or self.critical is not None

    def _beyond(self, is_beyond: Callable[[float], bool]) -> tuple[State, float] | None:
        """The worst limit that is crossed; None if none is."""
        if self.critical is not None and is_beyond(self.critical):
            return "critical", self.critical
        if self.warning is not None and is_beyond(self.warning):
            return "warning", self.warning
        return None


class HitRateLimits(_Limits):
    """The least hit rates, in percent."""

    __slots__ = ()

    @property
    def contradict(self) -> bool:
        """True if what is critical would be no warning."""
        return self.warning is not None and self.critical is not None and self.warning < self.critical

    def judge(self, hit_rate: float | None, span: str) -> Verdict:
        """What the limits say.

        Args:
            hit_rate: From 0 to 1; None if no call was counted.
            span: The time it is about, such as ``in the last hour``.
        """
        if not self.given:
            return "ok", ""
        if hit_rate is None:
            return "unknown", f"no call was counted {span}: the hit rate is unknown"
        found = self._beyond(lambda limit: HUNDRED * hit_rate < limit)
        if found is None:
            return "ok", ""
        state, limit = found
        return state, f"the hit rate is {HUNDRED * hit_rate:.1f} %, lower than {limit:g} %"


class LatencyLimits(_Limits):
    """The longest round trips to Redis, in milliseconds."""

    __slots__ = ()

    @property
    def contradict(self) -> bool:
        """True if what is critical would be no warning."""
        return self.warning is not None and self.critical is not None and self.warning > self.critical

    def judge(self, latency_ms: float) -> Verdict:
        """What the limits say."""
        found = self._beyond(lambda limit: latency_ms > limit)
        if found is None:
            return "ok", ""
        state, limit = found
        return state, f"a round trip to Redis takes {latency_ms:.2f} ms, longer than {limit:g} ms"
