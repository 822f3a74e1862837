"""What a history must satisfy, and where it does not.

- **Not stale**: a read that began after the invalidation of version v was acknowledged returns v or newer, in
  every process, whatever failed. After an invalidation went to the outbox that holds in its own process.
  What is kept in the memory of processes may lag by `MAX_LAG_SECONDS` in those that did not ask for it.
- **Not backwards**: a read that began after another of the same process had ended returns no older version.
  The other one does not count if Redis could not be used during it: its value may never have been stored.
- **Nothing mixed**: a value is that of the function and the item that was asked for, of the right type, and a
  version that there was.
- **No failure**: no call raised.
- **Replicated**: a read is older than an acknowledged invalidation only if that may have been lost with the
  primary that acknowledged it. It is then listed as ``replication``, which the cache does not rule out.
- **One run at a time** for each subject, in all processes together; `overlaps.py` says what excuses two.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from langcache_cli.caching._near.generation import MAX_LAG_SECONDS
from tests.history.journal import History
from tests.history.overlaps import overlaps
from tests.history.records import FunctionRun, Read, Subject
from tests.history.replication import split
from tests.history.subjects import NEAR

REPLICATION = "replication"
"""The rule that asynchronous replication may break."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not happen.

    Attributes:
        rule: ``stale``, ``stale in its process``, ``backwards``, ``mixed``, ``from nowhere``, ``failed``,
            ``overlapping`` or `REPLICATION`.
        subject: The function and the item.
        details: What was seen, and what it contradicts.
    """

    rule: str
    subject: str
    details: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject}: {self.details}"


class Floor:
    """The newest version known at each moment."""

    def __init__(self, events: Iterable[tuple[int, int]]) -> None:
        """Take moments and versions, in any order."""
        self._moments: list[int] = []
        self._versions: list[int] = []
        for moment, version in sorted(events):
            if not self._versions or version > self._versions[-1]:
                self._moments.append(moment)
                self._versions.append(version)

    def before(self, moment: int) -> tuple[int, int]:
        """The newest version known before ``moment``, and since when; 0 for none."""
        index = bisect_left(self._moments, moment)
        return (self._versions[index - 1], self._moments[index - 1]) if index else (0, 0)


def violations(history: History, newest: Mapping[Subject, int]) -> Iterator[Violation]:
    """Everything in a history that must not be there.

    Args:
        history: The whole of it.
        newest: The version that each subject had in the database at the end.
    """
    yield from (Violation("mixed", *line.split(": ", 1)) for line in history.mixed)
    yield from (Violation("failed", *line.split(": ", 1)) for line in history.failed)
    for subject, reads in history.reads.items():
        is_near = subject[0] in NEAR
        lag_ns = round(MAX_LAG_SECONDS * 1e9) if is_near else 0
        holding, lost = split(history, subject)
        acknowledged = Floor((when + lag_ns, version) for when, version in holding)
        may_be_lost = Floor(lost)
        by_process: dict[int, list[Read]] = defaultdict(list)
        for read in reads:
            by_process[read.process].append(read)
            if read.version > newest[subject]:
                yield _violation("from nowhere", subject, read, newest[subject], 0)
            stale = list(_older(read, "stale", subject, acknowledged))
            yield from stale or _older(read, REPLICATION, subject, may_be_lost)
        for process, own in by_process.items():
            known = history.known[process, subject] if is_near else []
            promised = Floor([*history.promised[process, subject], *known])
            exceptions = sorted(history.exceptions[process, subject])
            seen = Floor((read.ended, read.version) for read in own if not _within(exceptions, read))
            for read in own:
                yield from _older(read, "stale in its process", subject, promised)
                if not any(_older(read, REPLICATION, subject, may_be_lost)):
                    yield from _older(read, "backwards", subject, seen)
    for subject, first, second, explanation in overlaps(history):
        if explanation is None:
            yield _overlapping(subject, first, second)


def _older(read: Read, rule: str, subject: Subject, floor: Floor) -> Iterator[Violation]:
    version, since = floor.before(read.began)
    if read.version < version:
        yield _violation(rule, subject, read, version, since)


def _within(moments: list[int], read: Read) -> bool:
    index = bisect_left(moments, read.began)
    return index < len(moments) and moments[index] <= read.ended


def _violation(rule: str, subject: Subject, read: Read, version: int, since: int) -> Violation:
    return Violation(
        rule,
        "{} {}".format(*subject),
        f"process {read.process} read {read.version} from {read.began} to {read.ended}, "
        f"but {version} was known since {since}",
    )


def _overlapping(subject: Subject, first: FunctionRun, second: FunctionRun) -> Violation:
    return Violation(
        "overlapping",
        "{} {}".format(*subject),
        f"process {second.process} ran it from {second.began} (since {second.since}), while process "
        f"{first.process} ran it from {first.began} (since {first.since}) to {first.ended}",
    )
