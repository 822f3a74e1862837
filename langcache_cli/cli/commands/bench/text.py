"""The result of ``langcache bench`` on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from langcache_cli.cli.output import Output

if TYPE_CHECKING:
    from langcache_cli.operations.bench.comparison import Comparison
    from langcache_cli.operations.bench.limits import Verdict
    from langcache_cli.operations.bench.running import BenchReport
    from langcache_cli.operations.bench.trust import Trust


def print_report(output: Output, report: BenchReport, trust: Trust, comparison: Comparison | None) -> None:
    """The latencies, how far to trust them, and what has changed."""
    rows = [
        (
            name,
            f"{item.count:,}",
            f"{item.errors:,}",
            *(three_digits(item.percentiles_ms[percent]) for percent in (50.0, 90.0, 95.0, 99.0)),
            three_digits(item.max_ms),
            f"{item.per_second:,.0f}",
        )
        for name, item in report.paths.items()
    ]
    columns = ("Path (ms)", "Runs", "Errors", "p50", "p90", "p95", "p99", "max", "Runs/s")
    asked = f"{report.rate:,g} a second" if report.rate else f"{report.concurrency} at a time"
    drops = ("max", "p90", "Runs/s", "Runs", "p99")
    output.table(f"{report.repeats} turns, {asked}", columns, rows, drops=drops)
    for name, item in report.paths.items():
        if (schedule := item.schedule) is not None:
            output.line(
                f"{name}: {schedule.reached_per_second:,.0f} runs a second begun, "
                f"late by {schedule.lag_p50_ms:.3f} ms (median), {schedule.lag_max_ms:.2f} ms at most"
            )
    for line in _speedups(report.speedups):
        output.line(line)
    for reason in trust.reasons:
        output.line(f"{trust.status.upper()}: {reason}")
    if comparison is not None:
        output.line("")
        print_comparison(output, comparison)


def three_digits(milliseconds: float) -> str:
    """``0.00214``, ``0.0213``, ``0.214``, ``21.412``: at least three digits that count."""
    places = 5 if milliseconds < 0.01 else 4 if milliseconds < 0.1 else 3  # noqa: PLR2004
    return f"{milliseconds:.{places}f}"


def _speedups(found: Mapping[str, float]) -> list[str]:
    return [
        f"A hit is {ratio:.1f} times faster than a miss (medians)."
        if name == "hit"
        else f"{name} is {ratio:.1f} times faster than its function uncached (medians)."
        for name, ratio in found.items()
    ]


def print_comparison(output: Output, comparison: Comparison) -> None:
    """What has changed against the earlier run, by path."""
    rows = [
        (
            name,
            change.outcome,
            f"{change.ratio:.2f}",
            "-" if change.lowest is None else f"{change.lowest:.2f} to {change.highest:.2f}",
        )
        for name, change in comparison.paths.items()
    ]
    columns = ("Path", "Median", "Ratio after/before", "Interval")
    output.table("Ratio after/before (more than 1: slower)", columns, rows, text_columns=2)
    output.line("Ratio after/before: more than 1 is slower. It compares the medians of the turns.")
    output.line(comparison.allowance)
    for sentence in (*comparison.differences, *comparison.warnings):
        output.line(sentence)
    output.line(comparison.summary)


def print_limits(output: Output, verdict: Verdict) -> None:
    """The limits that are exceeded, or could not be judged."""
    for sentence in verdict.exceeded:
        output.line(f"EXCEEDED: {sentence}")
    for sentence in verdict.unjudged:
        output.line(f"NOT JUDGED: {sentence}")
