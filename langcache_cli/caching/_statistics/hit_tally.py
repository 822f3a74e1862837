"""What one event loop counts of one function's hits: the only numbers that are counted on every call.

One loop writes them and they only grow, so any thread may read them at any moment without a lock.
"""

from __future__ import annotations

from bisect import bisect_left

from langcache_cli.caching._statistics.latency_buckets import BUCKET_ENDS, BUCKETS


class HitTally:
    """Numbers that only grow."""

    __slots__ = ("_buckets", "_bytes", "_hits", "_near")

    def __init__(self) -> None:
        self._hits = 0
        self._near = 0
        self._bytes = 0
        self._buckets = [0] * BUCKETS

    def count_hit(self, n_bytes: int, seconds: float) -> None:
        """Count a hit that read so many bytes and took so long."""
        self._hits += 1
        self._bytes += n_bytes
        self._buckets[bisect_left(BUCKET_ENDS, seconds * 1e6)] += 1  # as `bucket_of` does

    def count_near_hit(self, seconds: float) -> None:
        """Count a hit that took so long, and asked nobody."""
        self._near += 1
        self._buckets[bisect_left(BUCKET_ENDS, seconds * 1e6)] += 1

    def counts(self) -> dict[str, int]:
        """Everything counted so far, by the names of the counters; only what is not 0."""
        counts = {f"hit_us.{number}": count for number, count in enumerate(self._buckets) if count}
        found = {"hits": self._hits + self._near, "near": self._near, "bytes_read": self._bytes}
        counts |= {name: count for name, count in found.items() if count}
        return counts
