"""The numbers of functions, types and everything, as parts of the document."""

from __future__ import annotations

from collections.abc import Iterable

from langcache_cli.caching.tooling import OUTBOX, CacheReport, Label, Numbers
from langcache_cli.operations.overview.document import FunctionSummary, Summary


def saved_seconds(parts: Iterable[Summary]) -> float:
    """Of several together: what a load takes differs from function to function."""
    return round(sum(part["saved_seconds"] for part in parts), 3)


def summary_of(numbers: Numbers) -> Summary:
    """The numbers of one function, one type or everything."""
    hits, misses, bypassed = numbers["hits"], numbers["misses"], numbers["bypassed"]
    calls = hits + misses + bypassed
    spared = max(0.0, numbers.mean_ms("load") - numbers.mean_ms("hit")) * numbers.loads_avoided
    return Summary(
        calls=calls,
        hits=hits,
        stale=numbers["stale"],
        joined=numbers["joined"],
        misses=misses,
        bypassed=bypassed,
        load_errors=numbers["load_errors"],
        hit_ratio=numbers.hit_rate,
        answered_ratio=hits / calls if calls else None,
        hit_p50_ms=numbers.percentile_ms("hit", 50),
        hit_p95_ms=numbers.percentile_ms("hit", 95),
        load_p50_ms=numbers.percentile_ms("load", 50),
        load_p95_ms=numbers.percentile_ms("load", 95),
        saved_seconds=round(spared / 1000, 3),
    )


def functions_of(report: CacheReport, type_name: str) -> list[FunctionSummary]:
    """Those of a type, most called first."""
    found = [
        FunctionSummary(**summary_of(numbers), name=_name(label))
        for label, numbers in report.functions.items()
        if label != OUTBOX and label.type == type_name
    ]
    return sorted(found, key=lambda function: -function["calls"])


def _name(label: Label) -> str:
    return f"{label.prefix}:{label.function}"
