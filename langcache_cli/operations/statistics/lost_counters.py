"""The counters of a window, and how much of them Redis has lost: it may evict counters as it evicts entries.

Each count is in hashes of several lengths. What one length has and another one lacks was lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from langcache_cli.caching import Cache
from langcache_cli.caching.tooling import TIERS, CacheReport, FleetReader, Label, Numbers, Tier, tier_for
from langcache_cli.operations.statistics.counters import reader_of

CALLS: Final = ("hits", "misses", "bypassed")
DAY_SECONDS: Final = 86400

Counts = Mapping[Label, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Lost:
    """What is missing in the counters of a window.

    Attributes:
        minutes: Nothing is there of so many minutes, at most: in some there may have been no call.
        calls: How many calls at least.
    """

    minutes: int = 0
    calls: int = 0


async def whole_counters(cache: Cache, window_seconds: int) -> tuple[CacheReport, Lost]:
    """The numbers of all processes over a window that ends now, and what of them was lost.

    Raises:
        CacheError: Redis did not answer, or refused.
    """
    reader, now = reader_of(cache), cache.runtime().now_ms() // 1000
    tier = tier_for(window_seconds)
    other = TIERS[min(TIERS.index(tier) + 1, len(TIERS) - 1)] if tier is not TIERS[-1] else TIERS[-2]
    starts = list(tier.starts(window_seconds, now))
    span = max(tier.seconds, other.seconds)
    since = max(starts[0], now - DAY_SECONDS) if tier is TIERS[-1] else starts[0]
    # the other length first: what is counted meanwhile is then in the window, too, and nothing looks lost
    expected = await _by_span(reader, other, [*range(other.start(since), now + 1, other.seconds)], span)
    found = await _by_span(reader, tier, starts, span)
    total: dict[Label, dict[str, int]] = {}
    for counts in found.values():
        for label, items in counts.items():
            into = total.setdefault(label, {})
            for name, count in items.items():
                into[name] = into.get(name, 0) + count
    missing = {
        start: lack
        for start, counts in expected.items()
        if start >= since and (lack := calls_of(counts) - calls_of(found.get(start, {}))) > 0
    }
    lost = Lost()
    if missing:
        spans = [start for start in starts if start - start % span in missing]
        lost = Lost(await _minutes(reader, tier, spans), sum(missing.values()))
    return CacheReport(now - starts[0], {label: Numbers(counts) for label, counts in total.items()}), lost


def calls_of(counts: Counts) -> int:
    """How many calls were counted."""
    return sum(items.get(name, 0) for items in counts.values() for name in CALLS)


async def _by_span(reader: FleetReader, tier: Tier, starts: Sequence[int], span: int) -> Mapping[int, Counts]:
    """The counters of each span of so many seconds."""
    steps: dict[int, list[int]] = {}
    for start in starts:
        steps.setdefault(start - start % span, []).append(start)
    return await reader.read_steps(tier, steps)


async def _minutes(reader: FleetReader, tier: Tier, starts: Sequence[int]) -> int:
    """How many minutes have no counters; at least those of one hash."""
    hashes = await reader.read_steps(tier, {start: [start] for start in starts})
    empty = sum(not counts for counts in hashes.values())
    return max(empty, 1) * tier.seconds // 60
