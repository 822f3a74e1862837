"""What explains a low hit rate: numbers that are not 0, and what each means."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from langcache_cli.caching.tooling import Numbers
from langcache_cli.operations.overview.census import OTHERS, Census

MEANINGS: Final = {
    "load_errors": ("load errors", "the function behind the cache raised, so nothing was stored"),
    "uncacheable": ("uncacheable", "the value would not come back the same; the log names the function"),
    "refused": ("refused", "an invalidation came while the value was loaded"),
    "bypassed": ("bypassed", "Redis could not be used, so the function ran"),
    "unstored": ("unstored", "Redis did not confirm that the value was stored"),
    "undecodable": ("undecodable", "the entry was of another schema, foreign or damaged"),
    "oversized": ("oversized", "the entry was larger than LANGCACHE_MAX_DECOMPRESSED_BYTES"),
    "invalidated": ("invalidations", "keys that were removed before their end"),
}
"""The counters that explain misses: how each is called, and what one count means."""

EVICTED: Final = ("evictions", "Redis removed keys because its memory was full; see 'langcache doctor'")
OTHER_KEYS: Final = ("other keys", "keys in this database that are not of this namespace")

_BOOKKEEPING = re.compile(rb"([A-Za-z0-9_.-]{1,64})@(?:stats|tag|wait):")


@dataclass(frozen=True, slots=True)
class Reason:
    """One line.

    Attributes:
        name: For scripts.
        title: For people.
        meaning: What one count is, without a full stop.
        count: How many; never 0.
        parts: The counts by cache type, or by namespace, largest first.
        is_estimate: True if only some keys were looked at.
    """

    name: str
    title: str
    meaning: str
    count: int
    parts: Mapping[str, int] = field(default_factory=dict)
    is_estimate: bool = False


def reasons(
    total: Numbers, types: Mapping[str, Numbers], *, evicted: tuple[int, str], other_keys: OtherKeys
) -> Iterator[Reason]:
    """What explains the hit rate of ``total``.

    Args:
        total: The counters of all types that are looked at.
        types: The same by cache type.
        evicted: How many keys the server evicted, and since when, such as ``since Redis started``.
        other_keys: The keys beside the namespace.
    """
    for counter, (title, meaning) in MEANINGS.items():
        if total[counter]:
            parts = Counter({name: numbers[counter] for name, numbers in types.items() if numbers[counter]})
            yield Reason(counter, title, meaning, total[counter], dict(parts.most_common()))
    count, since = evicted
    if count:
        title, meaning = EVICTED
        yield Reason("evicted_keys", title, f"{meaning} ({since})", count)
    if other_keys.keys:
        title, meaning = OTHER_KEYS
        parts = Counter({f"namespace {name}": n_keys for name, n_keys in other_keys.namespaces.items()})
        yield Reason(
            "other_keys",
            title,
            meaning,
            other_keys.keys,
            dict(parts.most_common()),
            is_estimate=other_keys.is_estimate,
        )


@dataclass(frozen=True, slots=True)
class OtherKeys:
    """Keys of the database that are not of the namespace.

    Attributes:
        keys: How many.
        namespaces: Those that are entries of other namespaces of langcache, by namespace.
        is_estimate: True if only some keys were looked at.
    """

    keys: int = 0
    namespaces: Mapping[str, int] = field(default_factory=dict)
    is_estimate: bool = False


def other_keys(census: Census) -> OtherKeys:
    """The keys beside the namespace and what it keeps beside its entries (tags, statistics).

    A namespace is known by its bookkeeping: a prefix may be that of any application.
    """
    by_first_word: dict[bytes, float] = {}
    found: set[bytes] = set()
    total = 0.0
    for sample in census.samples:
        weight = sample.keys / len(sample.seen) if sample.seen else 0.0
        for one in sample.seen:
            if one.type == OTHERS:
                total += weight
                if match := _BOOKKEEPING.match(one.key):
                    found.add(match[1])
                else:
                    name = one.key.partition(b":")[0]
                    by_first_word[name] = by_first_word.get(name, 0.0) + weight
    namespaces = {name.decode(): round(by_first_word[name]) for name in sorted(found & by_first_word.keys())}
    return OtherKeys(round(total), namespaces, not census.exact)
