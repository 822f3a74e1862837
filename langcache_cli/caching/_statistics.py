"""What one process counts about its cache: plain counters per function, latencies in buckets.

Everything is a number that is added to, so processes can be summed without losing anything.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

COUNTERS = {
    "hits": "calls answered from the cache",
    "stale": "hits served after their TTL, while one call loads the next value or has failed to",
    "misses": "calls that found nothing usable there",
    "joined": "misses answered by a load that another call had begun",
    "loads": "times the function behind the cache ran",
    "load_errors": "times it raised",
    "refused": "loaded values not stored, because of an invalidation meanwhile",
    "bypassed": "calls that went straight to the function, because Redis could not be used",
    "unstored": "values not stored, because Redis did not confirm it",
    "undecodable": "entries found but not usable: an older schema, foreign or damaged data",
    "uncacheable": "values not stored, because they would not come back the same",
    "invalidated": "keys removed",
    "deferred": "invalidations kept in an outbox, because Redis did not confirm them",
    "delivered": "of these, confirmed since",
    "bytes_read": "bytes of entries read",
    "bytes_written": "bytes of entries stored",
}
"""Every counter and what it counts."""

BUCKETS_PER_DOUBLING = 4
"""Latency buckets grow by 19 %: fine enough for a percentile, coarse enough to keep few of them."""


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """What is counted apart from each other."""

    type: str
    prefix: str
    function: str

    def __str__(self) -> str:
        return f"{self.type}:{self.prefix}:{self.function}"

    @classmethod
    def parse(cls, text: str) -> Label:
        """The label of ``str(label)``."""
        return cls(*text.split(":", 2))


OUTBOX = Label("(outbox)", "", "")
"""What the outboxes are counted under: their invalidations belong to no single function."""

Counts = dict[str, int]
"""Counters by name; latencies are counters too, named ``hit_us.{bucket}`` and ``load_us.{bucket}``."""


@dataclass(slots=True)
class Statistics:
    """The counters of one process since they were last taken."""

    counts: defaultdict[Label, Counts] = field(default_factory=lambda: defaultdict(dict))
    _taken: defaultdict[Label, Counts] = field(default_factory=lambda: defaultdict(dict))
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def add(self, label: Label, counter: str, amount: int = 1) -> None:
        """Count ``amount`` more."""
        with self._lock:  # several threads, each with an event loop, may share one cache
            counts = self.counts[label]
            counts[counter] = counts.get(counter, 0) + amount

    def time(self, label: Label, what: str, seconds: float) -> None:
        """Count one latency; ``what`` is ``hit`` or ``load``."""
        self.add(label, f"{what}_us.{bucket_of(seconds * 1e6)}")

    def take(self) -> dict[Label, Counts]:
        """All counters, which start again from nothing."""
        with self._lock:
            taken, self.counts = dict(self.counts), defaultdict(dict)
            _add(self._taken, taken)
        return taken

    def give_back(self, taken: Mapping[Label, Counts]) -> None:
        """Take over again what could not be delivered."""
        with self._lock:
            _add(self._taken, taken, sign=-1)
            _add(self.counts, taken)

    def since_start(self) -> dict[Label, Counts]:
        """All counters, those included that were taken."""
        with self._lock:
            total: defaultdict[Label, Counts] = defaultdict(dict)
            _add(total, self._taken)
            _add(total, self.counts)
        return dict(total)

    def merge(self, counts: Mapping[Label, Mapping[str, int]]) -> None:
        """Add counters that were counted elsewhere."""
        with self._lock:
            _add(self.counts, counts)


def _add(to: defaultdict[Label, Counts], counts: Mapping[Label, Mapping[str, int]], *, sign: int = 1) -> None:
    for label, items in counts.items():
        into = to[label]
        for counter, amount in items.items():
            into[counter] = into.get(counter, 0) + sign * amount


def bucket_of(microseconds: float) -> int:
    """The number of the latency bucket; bucket ``n`` ends at ``2 ** (n / 4)`` microseconds."""
    return max(0, math.ceil(BUCKETS_PER_DOUBLING * math.log2(microseconds))) if microseconds > 1 else 0


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
