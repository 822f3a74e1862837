"""The JSON document of ``langcache bench``, which the report page and later comparisons read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from langcache_cli.operations.bench.latencies import QUANTILE_PERCENTS, Latencies, Slice, Turn
from langcache_cli.operations.bench.running import BenchReport
from langcache_cli.operations.bench.trust import Trust

DIGITS = 3
"""Significant digits of the numbers that are there by the hundred, to be drawn."""

TURN_DIGITS = 6
"""Those of the numbers that comparisons are made with."""


def document_of(report: BenchReport, trust: Trust) -> dict[str, Any]:
    """What a run found, as JSON values. Each name ends in its unit."""
    return {
        "status": trust.status,
        "reasons": list(trust.reasons),
        "begun_at": datetime.fromtimestamp(report.begun_at, UTC).isoformat(timespec="seconds"),
        "concurrency": report.concurrency,
        "repeats": report.repeats,
        "turn_seconds": report.turn_seconds,
        "rate_per_second": report.rate,
        "versions": report.versions,
        "host": asdict(report.host),
        "speedup_ratio": report.speedup,
        "quantile_percents": [round(percent, 5) for percent in QUANTILE_PERCENTS],
        "paths": {name: _path(item) for name, item in report.paths.items()},
    }


def _path(item: Latencies) -> dict[str, Any]:
    return {
        "count": item.count,
        "errors": item.errors,
        "runs_per_second": item.per_second,
        **{f"p{percent:g}_ms": value for percent, value in item.percentiles_ms.items()},
        "mean_ms": item.mean_ms,
        "max_ms": item.max_ms,
        "median_of_turns_lowest_ms": item.spread_ms[0],
        "median_of_turns_highest_ms": item.spread_ms[1],
        "schedule": None if item.schedule is None else asdict(item.schedule),
        "quantiles_ms": [_short(value, DIGITS) for value in item.quantiles_ms],
        "turns": _columns(item.turns, Turn, TURN_DIGITS),
        "slices": _columns(item.slices, Slice, DIGITS),
    }


def _columns(
    rows: Sequence[Turn | Slice], kind: type[Turn | Slice], digits: int
) -> dict[str, list[float | None]]:
    """A list for each field: half as long as a list of objects."""
    found = {field.name: [_short(getattr(row, field.name), digits) for row in rows] for field in fields(kind)}
    found["at_seconds"] = [round(row.at_seconds, 3) for row in rows]
    return found


def _short(value: float | None, digits: int) -> float | None:
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value
