"""Findings about the entries that a look at the keys has seen."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from langcache_cli.caching import CacheSettings
from langcache_cli.operations.diagnosis.contents.calls import ENOUGH_CALLS, SPAN
from langcache_cli.operations.diagnosis.finding import Finding
from langcache_cli.operations.overview.census import Census, SeenKey
from langcache_cli.operations.overview.document import Summary
from langcache_cli.operations.overview.key_text import readable
from langcache_cli.readable import number_of, size, type_option

BIG_BYTES: Final = 1024 * 1024

FEW: Final = 3
"""So many keys are named in a line to type; of more the type."""

WARMED: Final = "vocabulary"
"""The type that `langcache warm` fills."""


def without_end(census: Census, settings: CacheSettings) -> Iterator[Finding]:
    """Entries without a TTL."""
    seen = {one.key: one for one in _entries(census) if one.ttl_ms < 0}
    if not seen:
        return
    yield Finding(
        "keys-without-ttl",
        "warning",
        f"{_of_seen(len(seen), census)} no TTL, such as {readable(min(seen))}",
        "They stay until they are evicted or removed. The cache always sets a TTL: something else has "
        "written or changed them.",
        _clear_all(list(seen.values()), settings),
    )


def big(census: Census) -> Iterator[Finding]:
    """Entries that slow every hit."""
    seen = {one.key: one for one in _entries(census) if one.bytes >= BIG_BYTES}
    if not seen:
        return
    largest = max(seen.values(), key=lambda one: one.bytes)
    limit, longest = size(BIG_BYTES), size(largest.bytes)
    yield Finding(
        "keys-big",
        "warning",
        f"{_of_seen(len(seen), census)} {limit} or more; {readable(largest.key)} has {longest}",
        "Reading such an entry takes milliseconds, in which Redis and the event loop serve nothing else.",
        f"Cache less in one entry, then: langcache clear{_key_option(largest.key)}",
    )


def empty_types(census: Census, types: Mapping[str, Summary], ttls: Mapping[str, int]) -> Iterator[Finding]:
    """Types that were called and of which nothing is there.

    Args:
        census: The keys that were seen.
        types: The counters of the last hour.
        ttls: The TTL of each type in seconds.
    """
    if not census.exact:
        return
    for name, numbers in types.items():
        lasts = ttls.get(name, 0) >= 3600  # noqa: PLR2004 - the hour of the counters
        if lasts and numbers["calls"] >= ENOUGH_CALLS and not census.of_type(name)["keys"]:
            yield Finding(
                "type-empty",
                "warning",
                f"{name}: no entry is there, and "
                f"{number_of(numbers['calls'], 'call was', 'calls were')} counted {SPAN}",
                "Its entries were cleared or evicted, or its values are not stored.",
                f"langcache {'warm' if name == WARMED else 'stats'} {type_option(name)}",
            )


def _entries(census: Census) -> Iterator[SeenKey]:
    return (one for sample in census.samples for one in sample.seen if one.is_entry)


def _of_seen(count: int, census: Census) -> str:
    if census.exact:
        return f"{count:,} {'entry has' if count == 1 else 'entries have'}"
    looked_at = sum(len(sample.seen) for sample in census.samples)
    return f"{count:,} of {looked_at:,} keys that were looked at have"


def _clear_all(seen: Sequence[SeenKey], settings: CacheSettings) -> str:
    """The line that removes these entries: a few by their keys, else all of their types."""
    if len(seen) <= FEW:
        return f"langcache clear{''.join(_key_option(one.key) for one in sorted(seen))}"
    types = sorted({one.type for one in seen})
    if other := [name for name in types if name not in settings.types]:  # a prefix that belongs to no type
        return f"langcache clear --pattern {shlex.quote(f'{settings.namespace}:{other[0]}:*')}"
    return f"langcache clear {type_option(*types)}"


def _key_option(key: bytes) -> str:
    return f" --key {shlex.quote(readable(key))}"
