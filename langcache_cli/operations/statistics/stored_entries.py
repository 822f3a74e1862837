"""Whether the misses of a function stored entries that no call asks for again, as with keys that differ."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Final

from langcache_cli.caching.tooling import Label, Numbers
from langcache_cli.operations.overview.census import Census
from langcache_cli.operations.statistics.miss_causes import MISSES

STILL_THERE: Final = 0.9
"""Of the entries that were stored; with fewer, the same keys were stored again, or entries have ended."""


def stored_misses(numbers: Numbers) -> int:
    """The misses without another cause: no entry was there, and one was stored."""
    return max(0, numbers["misses"] - sum(numbers[name] for name in MISSES))


def never_hit(numbers: Numbers) -> int:
    """How many of the entries that were stored no call has hit, at least: each hit is one of one entry.

    It follows from the counters alone, so it stays as it is while nothing is called.
    """
    return max(0, stored_misses(numbers) - numbers["hits"])


def keys_differ(numbers: Numbers, keys: int) -> bool:
    """True if about as many keys are there as were stored; False says nothing, as entries end.

    Args:
        numbers: The counters of the function.
        keys: How many keys it has in Redis now.
    """
    return keys >= STILL_THERE * stored_misses(numbers) > 0


def function_keys(census: Census, namespace: str, labels: Iterable[Label]) -> Mapping[Label, int]:
    """How many keys of each function are in Redis; an estimate if only some were looked at."""
    heads = {f"{namespace}:{label.prefix}:{label.function}".encode(): label for label in labels}
    lengths = {head.count(b":") + 1 for head in heads}
    counts = dict.fromkeys(heads.values(), 0.0)
    for sample in census.samples:
        weight = sample.keys / len(sample.seen) if sample.seen else 0.0
        for one in sample.seen:
            words = one.key.split(b":") if one.is_entry else []
            for length in lengths:
                if label := heads.get(b":".join(words[:length])):
                    counts[label] += weight
    return {label: round(count) for label, count in counts.items()}


def keys_of_function(label: Label) -> str:
    """The command that lists the keys of a function."""
    return f"langcache keys list --find {shlex.quote(f':{label.function}:')}"
