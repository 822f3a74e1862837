"""Thresholds of hit rates and latencies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "critical", "unknown"]
Verdict = tuple[State, str]
"""The state, and the reason; empty if all is well."""

HUNDRED = 100


@dataclass(frozen=True, slots=True)
class HitRateLimits:
    """The least hit rates, in percent; None for no limit.

    Attributes:
        warning: Below it a person should look.
        critical: Below it the command fails.
    """

    warning: float | None = None
    critical: float | None = None

    @property
    def given(self) -> bool:
        """True if there is a limit."""
        return self.warning is not None or self.critical is not None

    @property
    def contradict(self) -> bool:
        """True if what is critical would be no warning."""
        return self.warning is not None and self.critical is not None and self.warning < self.critical

    def judge(self, hit_rate: float | None, span: str) -> Verdict:
        """What the limits say.

        Args:
            hit_rate: From 0 to 1; None if no call was counted.
            span: The time it is about, such as ``in the last 1h``.
        """
        if not self.given:
            return "ok", ""
        if hit_rate is None:
            return "unknown", f"no call was counted {span}: the hit rate is unknown"
        limits: tuple[tuple[State, float | None], ...] = (
            ("critical", self.critical),
            ("warning", self.warning),
        )
        for state, limit in limits:
            if limit is not None and HUNDRED * hit_rate < limit:
                return state, f"the hit rate is {HUNDRED * hit_rate:.1f} %, lower than {limit:g} %"
        return "ok", ""


@dataclass(frozen=True, slots=True)
class LatencyLimits:
    """The longest round trips to Redis, in milliseconds; None for no limit.

    Attributes:
        warning: Above it a person should look.
        critical: Above it the command fails.
    """

    warning: float | None = None
    critical: float | None = None

    @property
    def given(self) -> bool:
        """True if there is a limit."""
        return self.warning is not None or self.critical is not None

    @property
    def contradict(self) -> bool:
        """True if what is critical would be no warning."""
        return self.warning is not None and self.critical is not None and self.warning > self.critical

    def judge(self, latency_ms: float) -> Verdict:
        """What the limits say."""
        limits: tuple[tuple[State, float | None], ...] = (
            ("critical", self.critical),
            ("warning", self.warning),
        )
        for state, limit in limits:
            if limit is not None and latency_ms > limit:
                return state, f"a round trip to Redis takes {latency_ms:.2f} ms, longer than {limit:g} ms"
        return "ok", ""
