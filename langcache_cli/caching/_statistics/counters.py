"""What one process counts about its cache: plain counters per function, latencies in buckets.

Everything is a number that is added to, so processes can be summed without losing anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

from langcache_cli.caching._statistics.hit_tally import HitTally
from langcache_cli.caching._statistics.latency_buckets import bucket_of

COUNTERS = {
    "hits": "calls answered from the cache",
    "near": "hits from the memory of the process",
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

    _counts: defaultdict[Label, Counts] = field(default_factory=lambda: defaultdict(dict))
    _taken: defaultdict[Label, Counts] = field(default_factory=lambda: defaultdict(dict))
    _tallies: dict[HitTally, tuple[Label, Counts]] = field(default_factory=dict)
    """Each with what has been collected of it."""
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def add(self, label: Label, counter: str, amount: int = 1) -> None:
        """Count ``amount`` more."""
        with self._lock:  # several threads, each with an event loop, may share one cache
            counts = self._counts[label]
            counts[counter] = counts.get(counter, 0) + amount

    def time(self, label: Label, what: str, seconds: float) -> None:
        """Count one latency; ``what`` is ``hit`` or ``load``."""
        self.add(label, f"{what}_us.{bucket_of(seconds * 1e6)}")

    def tally(self, label: Label) -> HitTally:
        """A tally of the running event loop, whose numbers are part of these until it is retired."""
        tally = HitTally()
        with self._lock:
            self._tallies[tally] = label, {}
        return tally

    def retire(self, tally: HitTally) -> None:
        """Keep what a tally has counted, and watch it no more."""
        with self._lock:
            self._collect()
            self._tallies.pop(tally, None)

    def _collect(self) -> None:
        for tally, (label, before) in self._tallies.items():
            counts = tally.counts()
            grown = {name: count - before.get(name, 0) for name, count in counts.items()}
            _add(self._counts, {label: {name: count for name, count in grown.items() if count}})
            self._tallies[tally] = label, counts

    def of(self, label: Label) -> Counts:
        """The counters of one label since they were last taken."""
        with self._lock:
            self._collect()
            return dict(self._counts.get(label, {}))

    def take(self) -> dict[Label, Counts]:
        """All counters, which start again from nothing."""
        with self._lock:
            self._collect()
            taken, self._counts = dict(self._counts), defaultdict(dict)
            _add(self._taken, taken)
        return taken

    def give_back(self, taken: Mapping[Label, Counts]) -> None:
        """Take over again what could not be delivered."""
        with self._lock:
            _add(self._taken, taken, sign=-1)
            _add(self._counts, taken)

    def since_start(self) -> dict[Label, Counts]:
        """All counters, those included that were taken."""
        with self._lock:
            self._collect()
            total: defaultdict[Label, Counts] = defaultdict(dict)
            _add(total, self._taken)
            _add(total, self._counts)
        return dict(total)

    def merge(self, counts: Mapping[Label, Mapping[str, int]]) -> None:
        """Add counters that were counted elsewhere."""
        with self._lock:
            _add(self._counts, counts)


def _add(to: defaultdict[Label, Counts], counts: Mapping[Label, Mapping[str, int]], *, sign: int = 1) -> None:
    for label, items in counts.items():
        if not items:
            continue
        into = to[label]
        for counter, amount in items.items():
            into[counter] = into.get(counter, 0) + sign * amount
