"""The rule for overlapping runs of one function: one at a time for each key, in all processes together.

Two runs of a subject overlap if one began while the other had not ended. That is allowed only if something
that may take the lease from one of the two came between the moment at which the earlier of their loads began
and the moment at which the later run began. A load begins with reading the versions of its tags, or with
taking its lease if it has none; one that replaces an entry after its TTL or early, with the call that has
seen that entry; one that is run once more for others, because its first caller was cancelled, with its first
run.

- **an invalidation** of the subject by its key, a tag, a pattern, its type or a bare ``DEL``, or a
  **refresh** or a **warm**, which take leases from others: from before it was sent until it was confirmed, or
  until the outbox was empty; the invalidations of the last minute, too, when a process sends them again to
  another server. One that met a fault may take effect until that fault has ended; one of a
  process that was killed, until the kill.
- **a fault** that can end a lease, from its begin until `GRACE_SECONDS` after its end: of Redis for all runs,
  of the network for runs of the workers behind the proxy, of a worker (killed, stopped) for its own. Not
  among them: a clock that jumps, ``SCRIPT FLUSH``, replies that are a little late.
- **a stall**: the event loop of one of the two processes did not run, as its own watch says.
- **a hung run** of the subject, from the moment at which it exceeded LOAD_TIMEOUT until one lease after its
  end.
- **a refused value**: a call whose value was refused takes the lease away from a load that runs for longer
  than its own did (`SHORTEST_PATIENCE_SECONDS` at least).

A run **without a lease**, because Redis could not be used or believed (the call was counted as ``bypassed``),
may overlap with any. No other run is without: none of the functions returns what cannot be cached, or calls
itself.

Why not the begin of the run: an invalidation between the versions and the lease leaves a placeholder with an
outdated version, and one between the look-up and the election an outdated entry that is leased. A load that
is run once more keeps the placeholder of its first run, with those versions. The next call takes each of them
over, although the function of the first has begun after the invalidation. Both then read what is new; the
first is refused.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate

from langcache_cli.caching._loading.remote_load import SHORTEST_PATIENCE_SECONDS
from tests.history.journal import History
from tests.history.options import LEASE_SECONDS, LOAD_TIMEOUT_SECONDS
from tests.history.records import NEVER, Cause, Fault, FunctionRun, Subject

GRACE_SECONDS = LEASE_SECONDS
"""After a fault: what was taken during it, or could not be prolonged, has ended by then."""

HARMLESS = frozenset({"jump of a clock", "SCRIPT FLUSH", "slow"})

SECOND = 10**9


class Spans:
    """Stretches of time, to be asked whether any of them meets another one."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        """Take begins and ends, in any order."""
        ordered = sorted(spans)
        self._begins = [began for began, _ in ordered]
        self._latest_ends = list(accumulate((ended for _, ended in ordered), max))

    def meet(self, began: int, ended: int) -> bool:
        """True if one of them has a moment in common with this one."""
        index = bisect_right(self._begins, ended)
        return index > 0 and self._latest_ends[index - 1] >= began

    def end_of_all_met(self, began: int, ended: int) -> int:
        """``ended``, or the end of those that this one meets, if that is later."""
        return (
            max(ended, self._latest_ends[bisect_right(self._begins, ended) - 1])
            if self.meet(began, ended)
            else ended
        )


class Explanations:
    """What may explain that two runs of one subject overlap."""

    def __init__(self, history: History, subject: Subject, faults: FaultSpans) -> None:
        self._faults = faults
        self._stalls = history.stalls
        self._causes = Spans((cause.began, faults.last_effect(cause)) for cause in history.causes[subject])
        timeout, lease = round(LOAD_TIMEOUT_SECONDS * SECOND), round(LEASE_SECONDS * SECOND)
        ends = [(run.began, faults.end_of(run)) for run in history.runs[subject]]
        self._hung = Spans(
            (began + timeout, ended + lease) for began, ended in ends if ended - began > timeout
        )
        self._refused = sorted(history.refused[subject])

    def of(self, first: FunctionRun, second: FunctionRun) -> str | None:
        """What explains that ``second`` began while ``first`` ran; None for nothing."""
        if first.bypassed or second.bypassed:
            return "without a lease"
        began, ended = min(first.since, second.since), second.began
        if self._causes.meet(began, ended):
            return "taken away"
        if any(self._faults.of(run.process).meet(began, ended) for run in (first, second)):
            return "fault"
        if any(Spans(self._stalls.get(run.process, ())).meet(began, ended) for run in (first, second)):
            return "stall"
        if self._hung.meet(began, ended):
            return "hung"
        return "refused" if self._takes_after_refusal(first, ended) else None

    def _takes_after_refusal(self, first: FunctionRun, when: int) -> bool:
        patience = round(SHORTEST_PATIENCE_SECONDS * SECOND)
        index = bisect_left(self._refused, first.since - patience)
        return index < len(self._refused) and self._refused[index] <= when - patience

    def calm(self, run: FunctionRun) -> bool:
        """True if nothing could have explained that another run begins during this one."""
        began, ended = run.since, run.ended
        return not run.bypassed and not (
            self._causes.meet(began, ended)
            or self._faults.of(run.process).meet(began, ended)
            or Spans(self._stalls.get(run.process, ())).meet(began, ended)
        )


class FaultSpans:
    """From when to when faults can end leases."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._faults = [fault for fault in faults if fault.name not in HARMLESS]
        self._spans: dict[int | None, Spans] = {}
        self._killed = {
            process: _end(fault)
            for fault in self._faults
            if fault.name == "kill a worker"
            for process in fault.processes or ()
        }

    def of(self, process: int | None) -> Spans:
        """Those that concern a process; None for all faults there were."""
        if process not in self._spans:
            self._spans[process] = Spans(
                (fault.began, _end(fault))
                for fault in self._faults
                if process is None or fault.processes is None or process in fault.processes
            )
        return self._spans[process]

    def end_of(self, run: FunctionRun) -> int:
        """When a run had ended, at the latest by the end of its process."""
        return min(run.ended, self._killed.get(run.process, NEVER))

    def last_effect(self, cause: Cause) -> int:
        """When something that a process sent could no longer take effect."""
        return self.of(None).end_of_all_met(
            cause.began, min(cause.ended, self._killed.get(cause.process, NEVER))
        )


def _end(fault: Fault) -> int:
    return fault.ended + fault.late_ns + round(GRACE_SECONDS * SECOND)


def overlaps(history: History) -> Iterator[tuple[Subject, FunctionRun, FunctionRun, str | None]]:
    """Every two runs of a subject of which the second began while the first ran, and what explains it."""
    faults = FaultSpans(history.faults)
    for subject, runs in history.runs.items():
        explanations = Explanations(history, subject, faults)
        under_way: list[FunctionRun] = []
        for run in sorted(runs, key=lambda run: run.began):
            under_way = [other for other in under_way if run.began < faults.end_of(other)]
            for other in under_way:
                yield subject, other, run, explanations.of(other, run)
            under_way.append(run)


def calm_runs(history: History) -> int:
    """How many runs were such that the rule would not have excused another run beside them."""
    faults = FaultSpans(history.faults)
    return sum(
        explanations.calm(run)
        for subject, runs in history.runs.items()
        for explanations in [Explanations(history, subject, faults)]
        for run in runs
    )
