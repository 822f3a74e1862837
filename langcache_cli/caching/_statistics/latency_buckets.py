"""Latencies as counters, one for each bucket: they can be added up, and give percentiles and histograms."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

BUCKETS_PER_DOUBLING = 4
"""Buckets grow by 19 %: fine enough for a percentile, coarse enough to keep few of them."""

BUCKETS = 41 * BUCKETS_PER_DOUBLING
"""The last begins at 400 hours."""

BUCKET_ENDS = [2 ** (number / BUCKETS_PER_DOUBLING) for number in range(BUCKETS - 1)]
"""In microseconds."""

HISTOGRAM_BUCKETS = range(6 * BUCKETS_PER_DOUBLING, 27 * BUCKETS_PER_DOUBLING, BUCKETS_PER_DOUBLING)
"""The buckets whose ends a histogram has: 64 microseconds to 67 seconds, doubling."""

HISTOGRAM_ENDS_SECONDS = tuple(2 ** (number // BUCKETS_PER_DOUBLING) / 1e6 for number in HISTOGRAM_BUCKETS)
"""Where the buckets of a histogram end; the one after the last has no end."""


@dataclass(frozen=True, slots=True)
class LatencyHistogram:
    """Latencies in fewer buckets, for metrics.

    Attributes:
        below: For each of `HISTOGRAM_ENDS_SECONDS`, how many latencies end at or before it.
        count: How many there are.
        sum_seconds: Their sum, within 10 %: each counts as the geometric middle of its bucket.
    """

    below: tuple[int, ...]
    count: int
    sum_seconds: float


def bucket_of(microseconds: float) -> int:
    """The number of the latency bucket; bucket ``n`` ends at ``2 ** (n / 4)`` microseconds."""
    return bisect_left(BUCKET_ENDS, microseconds)


def timing_name(what: str, bucket: int) -> str:
    """The counter of one bucket; ``what`` is ``hit`` or ``load``."""
    return f"{what}_us.{bucket}"


def percentile_ms(counts: Mapping[str, int], what: str, percent: float) -> float | None:
    """A percentile of the latencies in ``counts``, in milliseconds; None when there are none.

    Args:
        counts: Counters of one label, or a sum of several.
        what: ``hit`` or ``load``.
        percent: For example 95.
    """
    buckets = _buckets(counts, what)
    total = sum(count for _, count in buckets)
    rank = percent / 100 * total
    below = 0
    for number, count in buckets:
        if below + count >= rank:
            low, high = (2 ** ((number - step) / BUCKETS_PER_DOUBLING) for step in (1, 0))
            return (low + (high - low) * (rank - below) / count) / 1000
        below += count
    return None


def latency_histogram(counts: Mapping[str, int], what: str) -> LatencyHistogram | None:
    """The latencies in ``counts`` as a histogram; None when there are none.

    Args:
        counts: Counters of one label, or a sum of several.
        what: ``hit`` or ``load``.
    """
    buckets = _buckets(counts, what)
    if not buckets:
        return None
    below, seen, place = [], 0, 0
    for end in HISTOGRAM_BUCKETS:
        while place < len(buckets) and buckets[place][0] <= end:
            seen += buckets[place][1]
            place += 1
        below.append(seen)
    middles = (2 ** ((number - 0.5) / BUCKETS_PER_DOUBLING) * count for number, count in buckets)
    return LatencyHistogram(tuple(below), sum(count for _, count in buckets), sum(middles) / 1e6)


def _buckets(counts: Mapping[str, int], what: str) -> list[tuple[int, int]]:
    """The latencies as pairs of bucket number and count, shortest first."""
    stem = f"{what}_us."
    return sorted((int(name[len(stem) :]), count) for name, count in counts.items() if name.startswith(stem))
