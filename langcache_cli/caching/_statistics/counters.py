"""The counters of one process: numbers that only grow, per label.

Latencies are counters too, one for each bucket. Only sums are kept, so the numbers of several processes,
loops and minutes can be added up without an error.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic

from langcache_cli.caching._fork import call_in_child
from langcache_cli.caching._statistics.hit_tally import HitTally
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._statistics.latency_buckets import bucket_of, timing_name

Counts = dict[str, int]
"""Counters by name; latencies are counters too, named ``hit_us.{bucket}`` and ``load_us.{bucket}``."""

ByMinute = dict[int, dict[Label, Counts]]
"""Counters by the minute in which they were counted: its start, in seconds since 1970."""

MINUTES_KEPT_SECONDS = 3600
"""Undelivered counters that are older than the newest by more than this are kept by the hour."""

HOUR = 3600


@dataclass(slots=True, weakref_slot=True, eq=False)
class Statistics:
    """The counters of one process, shared by its threads.

    Every number is in one of three places: *pending* in the minute in which it is counted, *dated* until the
    next delivery to Redis, then *taken*. `close_minute` moves what is pending to dated; a delivery
    calls `take`, which moves everything to taken, and sends the result. If Redis does not confirm it,
    `give_back` makes these numbers dated again, and the next delivery sends them with their minutes. All
    three together are therefore always the counts since the start of the process, which `since_start` returns
    for ``/metrics``.

    One lock guards all of it: several threads, each with an event loop, may share a cache, and ``count += 1``
    from two threads loses counts. Hits are too frequent for a lock and go to a `HitTally` of each loop, which
    `_collect` adds to the pending numbers before anything reads them.
    """

    _pending: defaultdict[Label, Counts] = field(default_factory=lambda: defaultdict(dict))
    _dated: ByMinute = field(default_factory=dict)
    _taken: dict[Label, Counts] = field(default_factory=dict)
    _tallies: dict[HitTally, tuple[Label, Counts]] = field(default_factory=dict)
    """Each tally with its label and its numbers at the last `_collect`."""
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)
    began: float = field(default_factory=monotonic)
    """When the process began to count; by the monotonic clock."""
    start_is_noted: bool = False
    """True once the start of the process was noted as an event."""

    def __post_init__(self) -> None:
        call_in_child(self, "_start_in_child")

    def _start_in_child(self) -> None:
        """Start at zero: what was counted before the fork is the parent's to deliver."""
        self._lock = Lock()
        self.began, self.start_is_noted = monotonic(), False
        self._collect()
        self._pending.clear()
        self._dated.clear()
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
            add_counts(self._pending, {label: {name: count for name, count in grown.items() if count}})
            self._tallies[tally] = label, counts

    def of(self, label: Label) -> Counts:
        """The counters of one label that are not yet delivered."""
        total: dict[Label, Counts] = {}
        with self._lock:
            self._collect()
            for counts in (self._pending, *self._dated.values()):
                add_counts(total, {label: counts.get(label, {})})
        return total.get(label, {})

    def close_minute(self, minute: int) -> None:
        """Date everything pending: it was counted in this minute, given as its start."""
        with self._lock:
            self._date(minute)

    def take(self, minute: int) -> ByMinute:
        """Move everything to taken, and return it.

        The caller delivers the result, or calls `give_back` with it, once.

        Args:
            minute: In which the pending numbers were counted: its start, in seconds since 1970.
        """
        with self._lock:
            self._date(minute)
            taken, self._dated = self._dated, {}
            for counts in taken.values():
                add_counts(self._taken, counts)
        return taken

    def give_back(self, taken: Mapping[int, Mapping[Label, Counts]]) -> None:
        """Make the result of one `take`, or a part of it, dated again: Redis did not confirm it."""
        with self._lock:
            for minute, counts in taken.items():
                add_counts(self._taken, counts, sign=-1)
                add_counts(self._dated.setdefault(minute, {}), counts)
            self._merge_old_minutes()

    def since_start(self) -> dict[Label, Counts]:
        """All counters since the start of the process, delivered or not."""
        total: dict[Label, Counts] = {}
        with self._lock:
            self._collect()
            for counts in (self._taken, self._pending, *self._dated.values()):
                add_counts(total, counts)
        return total

    def _date(self, minute: int) -> None:
        self._collect()
        if self._pending:
            add_counts(self._dated.setdefault(minute, {}), self._pending)
            self._pending = defaultdict(dict)
            self._merge_old_minutes()

    def _merge_old_minutes(self) -> None:
        """Bound the memory that a long outage takes: some 60 minutes, then hours."""
        oldest = max(self._dated, default=0) - MINUTES_KEPT_SECONDS
        for minute in [minute for minute in self._dated if minute < oldest and minute % HOUR]:
            add_counts(self._dated.setdefault(minute - minute % HOUR, {}), self._dated.pop(minute))


def add_counts(
    to: MutableMapping[Label, Counts], counts: Mapping[Label, Mapping[str, int]], *, sign: int = 1
) -> None:
    """Add counters to others, or subtract them with a ``sign`` of -1."""
    for label, items in counts.items():
        if not items:
            continue
        into = to.setdefault(label, {})
        for counter, amount in items.items():
            into[counter] = into.get(counter, 0) + sign * amount
