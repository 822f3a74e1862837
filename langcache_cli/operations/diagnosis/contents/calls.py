"""Findings from what all processes have counted: calls past the cache, failed loads, types that miss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from langcache_cli.operations.diagnosis.finding import Finding

if TYPE_CHECKING:
    from langcache_cli.operations.overview.document import Summary

COLD: Final = 0.3
"""A type with a lower hit rate is named,"""
ENOUGH_CALLS: Final = 100
"""if it had so many calls."""

OFTEN: Final = 0.05
"""Of the loads; the alert on failed loads has the same limit."""

SPAN: Final = "in the last hour"


def bypassed(total: Summary) -> Iterator[Finding]:
    """Calls ran their functions because Redis could not be used."""
    if total["bypassed"]:
        yield Finding(
            "calls-bypassed",
            "note",
            f"{total['bypassed']:,} calls went past the cache",
            "Redis could not be used for a while.",
            "langcache check --roundtrip",
        )


def load_errors(types: Mapping[str, Summary]) -> Iterator[Finding]:
    """Functions raised; the type with most errors first."""
    for name, numbers in sorted(types.items(), key=lambda item: -item[1]["load_errors"]):
        if numbers["load_errors"]:
            often = numbers["load_errors"] >= OFTEN * max(numbers["misses"], 1)
            yield Finding(
                "load-errors",
                "warning" if often else "note",
                f"{name}: {numbers['load_errors']:,} loads failed",
                "The functions behind the cache raised; old values were served where stale_ttl allows it.",
                "langcache stats",
            )


def cold(types: Mapping[str, Summary]) -> Iterator[Finding]:
    """Types that were called often and found little."""
    for name, numbers in types.items():
        ratio = numbers["hit_ratio"]
        if ratio is not None and ratio < COLD and numbers["calls"] >= ENOUGH_CALLS:
            yield Finding(
                "type-cold",
                "warning",
                f"{name}: {100 * ratio:.1f} % of {numbers['calls']:,} calls {SPAN} were hits",
                "Its calls mostly run their functions: keys differ for no reason, the TTL is too short, or "
                "entries are invalidated or evicted.",
                f"langcache stats --window 1h --type {name}",
            )
