"""The counters of one process: numbers that only grow, per label.

Latencies are counters too, one for each bucket. Only sums are kept, so the numbers of several processes,
loops and minutes can be added up without an error.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

from langcache_cli.caching._fork import call_in_child
from langcache_cli.caching._statistics.hit_tally import HitTally
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._statistics.latency_buckets import bucket_of, timing_name

Counts = dict[str, int]
"""Counters by name; latencies are counters too, named ``hit_us.{bucket}`` and ``load_us.{bucket}``."""


@dataclass(slots=True, weakref_slot=True, eq=False)
class Statistics:
    """The counters of one process, shared by its threads.

    Every number is in one of two places: *pending* until the next delivery to Redis, then *taken*. A delivery
    calls `take`, which moves everything that is pending to taken, and sends the result. If Redis does not
    confirm it, `give_back` moves these numbers to pending again, and the next delivery sends them together
    with what was counted meanwhile. Pending and taken together are therefore always the counts since the
    start of the process, which `since_start` returns for ``/metrics``.

    One lock guards all of it: several threads, each with an event loop, may share a cache, and ``count += 1``
    from two threads loses counts. Hits are too frequent for a lock and go to a `HitTally` of each loop, which
    `_collect` adds to the pending numbers before anything reads them.
    """

    _pending: defaultdict[Label, Counts] = field(default_factory=lambda: defaultdict(dict))
    _taken: defaultdict[Label, Counts] = field(default_factory=lambda: defaultdict(dict))
    _tallies: dict[HitTally, tuple[Label, Counts]] = field(default_factory=dict)
    """Each tally with its label and its numbers at the last `_collect`."""
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def __post_init__(self) -> None:
        call_in_child(self, "_start_in_child")

    def _start_in_child(self) -> None:
        """Start at zero: what was counted before the fork is the parent's to deliver."""
        self._lock = Lock()
        self._collect()
        self._pending.clear()
        self._taken.clear()

    def add(self, label: Label, counter: str, amount: int = 1) -> None:
        """Count ``amount`` more."""
        with self._lock:
            counts = self._pending[label]
            counts[counter] = counts.get(counter, 0) + amount

    def time(self, label: Label, what: str, seconds: float) -> None:
        """Count one latency; ``what`` is ``hit`` or ``load``."""
        self.add(label, timing_name(what, bucket_of(seconds * 1e6)))

    def tally(self, label: Label) -> HitTally:
        """A new tally for the running event loop; its numbers are part of these until it is retired."""
        tally = HitTally()
        with self._lock:
            self._tallies[tally] = label, {}
        return tally

    def retire(self, tally: HitTally) -> None:
        """Keep what a tally has counted; what it counts from now on is ignored."""
        with self._lock:
            self._collect()
            self._tallies.pop(tally, None)

    def _collect(self) -> None:
        """Add to the pending numbers what each tally has counted since the last time; the lock is held."""
        for tally, (label, before) in self._tallies.items():
            counts = tally.counts()
            grown = {name: count - before.get(name, 0) for name, count in counts.items()}
            _add(self._pending, {label: {name: count for name, count in grown.items() if count}})
            self._tallies[tally] = label, counts

    def of(self, label: Label) -> Counts:
        """The pending counters of one label."""
        with self._lock:
            self._collect()
            return dict(self._pending.get(label, {}))

    def take(self) -> dict[Label, Counts]:
        """Move everything pending to taken, and return it.

        The caller delivers the result, or calls `give_back` with it, once.
        """
        with self._lock:
            self._collect()
            taken, self._pending = dict(self._pending), defaultdict(dict)
            _add(self._taken, taken)
        return taken

    def give_back(self, taken: Mapping[Label, Counts]) -> None:
        """Move the result of one `take` back to pending, because Redis did not confirm it.

        If Redis added it all the same and only the confirmation was lost, it is added twice.
        """
        with self._lock:
            _add(self._taken, taken, sign=-1)
            _add(self._pending, taken)

    def since_start(self) -> dict[Label, Counts]:
        """All counters since the start of the process, delivered or not."""
        with self._lock:
            self._collect()
            total: defaultdict[Label, Counts] = defaultdict(dict)
            _add(total, self._taken)
            _add(total, self._pending)
        return dict(total)

    def merge(self, counts: Mapping[Label, Mapping[str, int]]) -> None:
        """Add counters that were counted elsewhere."""
        with self._lock:
            _add(self._pending, counts)


def _add(to: defaultdict[Label, Counts], counts: Mapping[Label, Mapping[str, int]], *, sign: int = 1) -> None:
    for label, items in counts.items():
        if not items:
            continue
        into = to[label]
        for counter, amount in items.items():
            into[counter] = into.get(counter, 0) + sign * amount
