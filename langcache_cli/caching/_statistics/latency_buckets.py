"""Latencies in buckets: numbers that are added to, from which percentiles come out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

BUCKETS_PER_DOUBLING = 4
"""Buckets grow by 19 %: fine enough for a percentile, coarse enough to keep few of them."""

BUCKETS = 41 * BUCKETS_PER_DOUBLING
"""The last begins at 400 hours."""

BUCKET_ENDS = [2 ** (number / BUCKETS_PER_DOUBLING) for number in range(BUCKETS - 1)]
"""In microseconds."""


def bucket_of(microseconds: float) -> int:
    """The number of the latency bucket; bucket ``n`` ends at ``2 ** (n / 4)`` microseconds."""
    return bisect_left(BUCKET_ENDS, microseconds)


def percentile_ms(counts: Mapping[str, int], what: str, percent: float) -> float | None:
    """A percentile of the latencies in ``counts``, in milliseconds; None when there are none.

    Args:
        counts: Counters of one label, or a sum of several.
        what: ``hit`` or ``load``.
        percent: For example 95.
    """
    stem = f"{what}_us."
    buckets = sorted(
        (int(name.removeprefix(stem)), count) for name, count in counts.items() if name.startswith(stem)
    )
    total = sum(count for _, count in buckets)
    rank = percent / 100 * total
    below = 0
    for number, count in buckets:
        if below + count >= rank:
            low, high = (2 ** ((number - step) / BUCKETS_PER_DOUBLING) for step in (1, 0))
            return (low + (high - low) * (rank - below) / count) / 1000
        below += count
    return None
