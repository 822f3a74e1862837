"""How far the numbers of a run can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from langcache_cli.operations.bench.running import BenchReport

LEAST_OF_THE_RATE = 0.99
"""An open loop that reached less of its rate did not make the load that it was asked for."""

MOST_BETWEEN_TURNS = 1.5
"""Ratio of the medians of two turns of a path from which on something else took part of the machine."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How far to trust a run.

    Attributes:
        status: ``invalid``: the numbers say nothing about the paths. ``noisy``: they were disturbed.
        reasons: One sentence each, for the status.
    """

    status: Literal["valid", "noisy", "invalid"]
    reasons: tuple[str, ...]


def trust_in(report: BenchReport) -> Trust:
    """Judge a run by what it says about itself."""
    invalid, noisy = [], []
    for name, path in report.paths.items():
        if not path.count:
            invalid.append(f"{name}: no run succeeded")
        elif path.errors:
            invalid.append(
                f"{name}: {path.errors:,} of {path.count + path.errors:,} runs failed; they are not timed"
            )
        if report.rate and path.schedule is not None:
            reached = path.schedule.reached_per_second
            if reached < LEAST_OF_THE_RATE * report.rate:
                share = 100 * reached / report.rate
                invalid.append(
                    f"{name}: {reached:,.0f} of {report.rate:,.0f} runs a second were begun ({share:.0f} %); "
                    "this process could not ask faster"
                )
        low, high = path.spread_ms
        if low and high / low > MOST_BETWEEN_TURNS:
            noisy.append(f"{name}: the medians of its turns differ by {high / low:.1f} times")
    if invalid:
        return Trust("invalid", tuple(invalid))
    return Trust("noisy" if noisy else "valid", tuple(noisy))
