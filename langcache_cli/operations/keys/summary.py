"""The keys of the namespace by type: how many, how large, how long they live on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from langcache_cli.caching import Cache
from langcache_cli.operations.overview.census import OTHERS, OWN, Census
from langcache_cli.operations.overview.keyspace import KeyspaceWatch

SHARES = (0.0, 0.5, 1.0)
"""Of the keys of a type, by the time they have left: the first to end, the one in the middle, the last."""


@dataclass(frozen=True, slots=True)
class TypeSummary:
    """The keys of one type.

    Attributes:
        name: The type; empty for keys of other applications.
        keys: How many.
        keys_error: Half of the 95 % interval; 0 if they were counted.
        bytes: Their size.
        bytes_error: As for the keys.
        ttl_seconds: What is left of the TTL of the first key to end, of the one in the middle, and of the
            last; None if none that was looked at has an end.
        endless: How many of those that were looked at have no TTL.
    """

    name: str
    keys: int
    keys_error: int
    bytes: int
    bytes_error: int
    ttl_seconds: tuple[float, float, float] | None
    endless: int


@dataclass(frozen=True, slots=True)
class KeysSummary:
    """What is in a database.

    Attributes:
        types: Those of the settings, then others that were seen.
        all_types: The same together.
        own: Tags and statistics that langcache keeps beside the entries of the namespace.
        other: Keys of other applications.
        exact: True if every key was looked at; else random ones were.
        sampled: How many were looked at.
        database_keys: How many there are, of all applications.
        problem: Why sizes are not known, such as a missing right; empty for nothing.
    """

    types: tuple[TypeSummary, ...]
    all_types: TypeSummary
    own: TypeSummary
    other: TypeSummary
    exact: bool
    sampled: int
    database_keys: int
    problem: str


async def summarize_keys(cache: Cache, *, exact: bool = False) -> KeysSummary:
    """Count the keys by type: all of them while there are few, random ones of many.

    Args:
        cache: Where.
        exact: Look at every key, however many there are.

    Raises:
        CacheError: Redis did not answer.
    """
    census = await KeyspaceWatch(cache, always_exact=exact).look()
    names = [*dict.fromkeys((*cache.settings.types, *sorted(census.types)))]
    types = tuple(_type(census, name, (name,)) for name in names)
    return KeysSummary(
        types=types,
        all_types=_together(census, types, names),
        own=_type(census, OWN, (OWN,)),
        other=_type(census, OTHERS, (OTHERS,)),
        exact=census.exact,
        sampled=sum(len(sample.seen) for sample in census.samples),
        database_keys=census.database_keys,
        problem=census.problem,
    )


def _type(census: Census, name: str, names: Sequence[str]) -> TypeSummary:
    counts = census.of_type(name)
    ttls, endless = _ttls(census, names)
    return TypeSummary(
        name, counts["keys"], counts["keys_error"], counts["bytes"], counts["bytes_error"], ttls, endless
    )


def _together(census: Census, types: Sequence[TypeSummary], names: Sequence[str]) -> TypeSummary:
    """All types; their intervals are added up as those of independent numbers are."""
    ttls, endless = _ttls(census, names)
    found = [one for one in types if one.keys]  # of a type that was not seen only an upper bound is known
    return TypeSummary(
        "all",
        sum(one.keys for one in found),
        round(sum(one.keys_error**2 for one in found) ** 0.5),
        sum(one.bytes for one in found),
        round(sum(one.bytes_error**2 for one in found) ** 0.5),
        ttls,
        endless,
    )


def _ttls(census: Census, names: Sequence[str]) -> tuple[tuple[float, float, float] | None, int]:
    """What is left of the TTLs at `SHARES` of the keys of some types, and how many keys have no end."""
    weighted: list[tuple[int, float]] = []
    endless = 0
    for sample in census.samples:
        weight = sample.keys / len(sample.seen) if sample.seen else 0.0
        for one in sample.seen:
            if one.type in names and one.ttl_ms < 0:
                endless += 1
            elif one.type in names:
                weighted.append((one.ttl_ms, weight))
    if not weighted:
        return None, endless
    weighted.sort()
    least, median, most = (_at(weighted, share) / 1000 for share in SHARES)
    return (least, median, most), endless


def _at(weighted: Sequence[tuple[int, float]], share: float) -> int:
    left = share * sum(weight for _, weight in weighted)
    for value, weight in weighted:
        left -= weight
        if left <= 0:
            return value
    return weighted[-1][0]
