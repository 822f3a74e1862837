"""The hits of one function on one event loop, counted without a lock.

A hit costs a few microseconds, so a lock and a dictionary at each would be noticed; every other counter goes
through `Statistics.add`. A tally needs no lock because only its own loop writes it and its numbers only grow:
another thread may read them at any moment. A hit that is counted during the read may be seen in part (the
hit, not yet its bytes); the rest is seen by the next read, and nothing is counted twice.
"""

from __future__ import annotations

from bisect import bisect_left

from langcache_cli.caching._statistics.latency_buckets import BUCKET_ENDS, BUCKETS, timing_name


class HitTally:
    """Counts hits, their bytes and their latencies; never reset.

    `Statistics` keeps the numbers of its last read and adds only the difference.
    """

    __slots__ = ("_buckets", "_bytes", "_near", "_remote")

    def __init__(self) -> None:
        self._remote = 0
        self._near = 0
        self._bytes = 0
        self._buckets = [0] * BUCKETS

    def count_hit(self, n_bytes: int, seconds: float) -> None:
        """Count a hit from Redis: the bytes of its entry, and how long it took."""
        self._remote += 1
        self._bytes += n_bytes
        self._buckets[bisect_left(BUCKET_ENDS, seconds * 1e6)] += 1  # `bucket_of`, without the call

    def count_hits(self, count: int, n_bytes: int, seconds: float) -> None:
        """Count hits from Redis by one look-up: the bytes of all their entries, and how long it took."""
        self._remote += count
        self._bytes += n_bytes
        self._buckets[bisect_left(BUCKET_ENDS, seconds * 1e6)] += count

    def count_near_hit(self, seconds: float) -> None:
        """Count a hit from the memory of the process, and how long it took."""
        self._near += 1
        self._buckets[bisect_left(BUCKET_ENDS, seconds * 1e6)] += 1

    def counts(self) -> dict[str, int]:
        """Everything counted so far by counter name, without zeros."""
        counts = {timing_name("hit", number): count for number, count in enumerate(self._buckets) if count}
        near = self._near  # read once: `hits` must not count a near hit that `near` does not
        found = {"hits": self._remote + near, "near": near, "bytes_read": self._bytes}
        return counts | {name: count for name, count in found.items() if count}
