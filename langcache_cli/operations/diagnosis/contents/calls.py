"""Findings from what all processes have counted: calls past the cache, failed loads, types that miss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from langcache_cli.caching.tooling import OUTBOX, Label, Numbers
from langcache_cli.operations.diagnosis.finding import Finding
from langcache_cli.operations.statistics.reasons import reasons
from langcache_cli.readable import number_of, type_option

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
            f"{number_of(total['bypassed'], 'call')} went past the cache",
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
    types: Mapping[str, Summary],
    functions: Mapping[Label, Numbers],
    keys: Mapping[Label, int],
    *,
    evicted: int,
) -> Iterator[Finding]:
    """Types that were called often and found little; the lowest rate first.

    Args:
        types: The counters of the last hour by type.
        functions: The same by function, with what belongs to none.
        keys: How many keys each function has in Redis.
        evicted: How many keys Redis has evicted since its start.
    """
    of_all = functions.get(OUTBOX, Numbers({}))
    rates = {
        name: numbers["hit_ratio"]
        for name, numbers in types.items()
        if numbers["hit_ratio"] is not None and numbers["calls"] >= ENOUGH_CALLS
    }
    for name, ratio in sorted(rates.items(), key=lambda item: item[1]):
        if ratio < COLD:
            of_type = {label: numbers for label, numbers in functions.items() if label.type == name}
            why, command = _why_cold(of_type, keys, of_all, evicted)
            yield Finding(
                "type-cold",
                "warning",
                f"{name}: {100 * ratio:.1f} % of {types[name]['calls']:,} calls {SPAN} were hits",
                why,
                command or _stats(name),
            )


def _why_cold(
    functions: Mapping[Label, Numbers], keys: Mapping[Label, int], of_all: Numbers, evicted: int
) -> tuple[str, str]:
    """The most frequent cause of the misses of a type, as `stats` says it, and what shows more of it."""
    causes = reasons(functions, keys, of_all=of_all, evicted=(evicted, "since Redis started"))
    cause = next((one for one in causes if one.is_cause), None)
    if cause is None:
        return "Its calls mostly run their functions.", ""
    misses = sum(numbers["misses"] for numbers in functions.values())
    why = f"{cause.count:,} of {misses:,} misses: {cause.title} ({cause.meaning}). {cause.estimate}"
    return why.rstrip(), cause.command if cause.command.startswith("langcache keys") else ""


def _stats(name: str) -> str:
    return f"langcache stats {type_option(name)}"
