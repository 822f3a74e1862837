"""Findings from what all processes have counted: calls past the cache, failed loads, types that miss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from langcache_cli.caching.tooling import Label, Numbers
from langcache_cli.operations.diagnosis.finding import Finding
from langcache_cli.operations.statistics.new_keys import are_new, keys_of_function, stored_misses

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


def load_errors(types: Mapping[str, Summary], span: str = "") -> Iterator[Finding]:
    """Functions raised; the type with most errors first.

    Args:
        types: The counters by type.
        span: The time of these, such as ``in the last hour``, where the reader does not know it.
    """
    for name, numbers in sorted(types.items(), key=lambda item: -item[1]["load_errors"]):
        if count := numbers["load_errors"]:
            often = count >= OFTEN * max(numbers["misses"], 1)
            stale = " Old values were served where stale_ttl allows it." if numbers["stale"] else ""
            yield Finding(
                "load-errors",
                "warning" if often else "note",
                f"{name}: {count:,} {'load' if count == 1 else 'loads'} failed {span}".rstrip(),
                f"The functions behind the cache raised, so nothing was stored.{stale}",
                _stats(name),
            )


def cold(
    types: Mapping[str, Summary], functions: Mapping[Label, Numbers], keys: Mapping[Label, int]
) -> Iterator[Finding]:
    """Types that were called often and found little; the lowest rate first.

    Args:
        types: The counters of the last hour by type.
        functions: The same by function.
        keys: How many keys each function has in Redis.
    """
    rates = {
        name: numbers["hit_ratio"]
        for name, numbers in types.items()
        if numbers["hit_ratio"] is not None and numbers["calls"] >= ENOUGH_CALLS
    }
    for name, ratio in sorted(rates.items(), key=lambda item: item[1]):
        if ratio < COLD:
            stored = {
                label: stored_misses(numbers)
                for label, numbers in functions.items()
                if label.type == name and are_new(numbers, keys.get(label, 0))
            }
            why, command = _why_cold(types[name]["misses"], stored)
            yield Finding(
                "type-cold",
                "warning",
                f"{name}: {100 * ratio:.1f} % of {types[name]['calls']:,} calls {SPAN} were hits",
                why,
                command or _stats(name),
            )


def _why_cold(misses: int, stored: Mapping[Label, int]) -> tuple[str, str]:
    """Why a type misses, and the command that shows its keys if these differ."""
    count = sum(stored.values())
    if 2 * count < misses:
        why = (
            "Its calls mostly run their functions: the TTL is too short, entries are invalidated or evicted, "
            "or loads fail."
        )
        return why, ""
    why = (
        f"{count:,} of {misses:,} misses stored an entry under a new key: an argument that differs in each "
        "call, such as a time or a request id, makes each key another one."
    )
    return why, keys_of_function(max(stored, key=lambda label: stored[label]))


def _stats(name: str) -> str:
    return f"langcache stats --type {name}"
