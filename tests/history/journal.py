"""What a worker writes down, and reading it back: one line for each event, times on the monotonic clock.

That clock is one for all processes of a machine. A worker that is killed leaves a line half written.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.history.records import NEVER, Cause, Fault, FunctionRun, LostWrites, Read, Reads, Subject

FLUSH_BYTES = 1 << 15


@dataclass
class History:
    """What all workers have written down.

    Attributes:
        reads: By subject.
        acknowledged: By subject: when Redis had confirmed the invalidation of a version, and which.
        known: By process and subject: those of them that the process itself had asked the cache for.
        promised: By process and subject: the same for invalidations in the outbox, which bind that process.
        exceptions: By process and subject: when Redis could not be used, or did not confirm.
        mixed: Values of another function or item, or of another type.
        failed: Calls that raised.
        ways: How often something was invalidated in which way.
        near: How many reads were answered from the memory of their process.
        runs: By subject: the runs of its function.
        causes: By subject: what took leases away.
        refused: By subject: when a value was not stored, because its load had lost the lease.
        stalls: By process: from when to when its event loop did not run.
        faults: What was done to all of them; not from a journal.
        lost: What replication may have lost; not from a journal.
        names: By subject: the keys of its entry and its tags; not from a journal.
    """

    reads: dict[Subject, Reads] = field(default_factory=lambda: defaultdict(Reads))
    acknowledged: dict[Subject, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    known: dict[tuple[int, Subject], list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    promised: dict[tuple[int, Subject], list[tuple[int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    exceptions: dict[tuple[int, Subject], list[int]] = field(default_factory=lambda: defaultdict(list))
    mixed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    ways: Counter[str] = field(default_factory=Counter)
    near: int = 0
    runs: dict[Subject, list[FunctionRun]] = field(default_factory=lambda: defaultdict(list))
    causes: dict[Subject, list[Cause]] = field(default_factory=lambda: defaultdict(list))
    refused: dict[Subject, list[int]] = field(default_factory=lambda: defaultdict(list))
    stalls: dict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    faults: list[Fault] = field(default_factory=list)
    lost: list[LostWrites] = field(default_factory=list)
    names: Mapping[Subject, Sequence[str]] = field(default_factory=dict)
    _unended: dict[tuple[int, str], list[FunctionRun | Cause]] = field(
        default_factory=lambda: defaultdict(list)
    )

    @classmethod
    def load(cls, journals: Iterable[Path]) -> History:
        """Read what the processes have written; their number is their place in ``journals``."""
        history = cls()
        for process, journal in enumerate(journals):
            if not journal.exists():
                continue  # it was killed before it began
            for line in journal.read_text().split("\n")[:-1]:  # a last line without its end is not whole
                history.add(process, *line.split("\t"))
        return history

    def add(self, process: int, event: str, name: str, item: str, *details: str) -> None:
        """Take over one line of a process."""
        subject = name, int(item)
        match event:
            case "read":
                self.reads[subject].add(Read(process, *map(int, details)))
            case "acknowledged":
                version, when, way = details
                self.acknowledged[subject].append((int(when), int(version)))
                if not way.startswith("bare"):
                    self.known[process, subject].append((int(when), int(version)))
                self.ways[way] += 1
            case "promised":
                version, when, _ = details
                self.promised[process, subject].append((int(when), int(version)))
            case "near":
                self.near += 1
            case "exception":
                self.exceptions[process, subject].append(int(details[0]))
            case "mixed":
                self.mixed.append(f"{name} {item}: {details[0]}")
            case "failed":
                self.failed.append(f"{name} {item}: {details[0]}")
            case _:
                self._add_to_runs(process, event, subject, *details)

    def _add_to_runs(self, process: int, event: str, subject: Subject, *details: str) -> None:
        """Take over a line about a run of a function, or about what takes leases away."""
        match event:
            case "runs":
                number, since, began, bypassed = details
                run = FunctionRun(process, int(since), int(began), bypassed == "True", NEVER)
                self.runs[subject].append(run)
                self._unended[process, number].append(run)
            case "asks":
                number, when, way = details
                cause = Cause(process, way, int(when), NEVER)
                self.causes[subject].append(cause)
                self._unended[process, number].append(cause)
            case "ended":
                for one in self._unended.pop((process, details[0]), ()):
                    one.ended = int(details[1])
            case "refused":
                self.refused[subject].append(int(details[0]))
            case "stalled":
                self.stalls[process].append((int(details[0]), int(details[1])))
            case _:
                raise ValueError(f"no such event: {event}")

    def __len__(self) -> int:
        """How many reads there are."""
        return sum(map(len, self.reads.values()))


class Journal:
    """Where one worker writes."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", buffering=FLUSH_BYTES)
        self._numbers = 0

    def read(self, subject: Subject, version: int, began: int) -> None:
        """A call returned this version just now."""
        self._write("read", subject, version, began, now())

    def acknowledged(self, subject: Subject, version: int, way: str) -> None:
        """Redis has confirmed the invalidation that followed the commit of this version."""
        self._write("acknowledged", subject, version, now(), way)

    def promised(self, subject: Subject, version: int, way: str) -> None:
        """It waits in the outbox: this process must not read anything older from now on."""
        self._write("promised", subject, version, now(), way)

    def near(self, subject: Subject) -> None:
        """A call was answered from the memory of the process."""
        self._write("near", subject)

    def exception(self, subject: Subject) -> None:
        """Redis could not be used for a call of this subject."""
        self._write("exception", subject, now())

    def mixed(self, subject: Subject, value: object) -> None:
        """A call returned what is not its."""
        self._write("mixed", subject, repr(value))

    def failed(self, subject: Subject, error: BaseException) -> None:
        """A call raised."""
        self._write("failed", subject, repr(error))

    def runs(self, subject: Subject, since: int, *, bypassed: bool) -> int:
        """The function begins to run; returns a number for `ended`."""
        self._numbers += 1
        self._write("runs", subject, self._numbers, since, now(), bypassed)
        return self._numbers

    def asks(self, subjects: Iterable[Subject], way: str) -> int:
        """What takes leases away is about to be sent; returns a number for `ended`.

        It may take effect even if this process is killed at once: it is on the disk before.
        """
        self._numbers += 1
        for subject in subjects:
            self._write("asks", subject, self._numbers, now(), way)
        self.flush()
        return self._numbers

    def ended(self, number: int, *, later_ns: int = 0) -> None:
        """The run has ended, or what was asked for takes no effect any more, in ``later_ns`` from now.

        The value of a run is stored after this, so this is on the disk before: otherwise a process that is
        killed seems to run the function on while others find its value.
        """
        self._write("ended", ("-", 0), number, now() + later_ns)
        self.flush()

    def refused(self, subject: Subject) -> None:
        """A loaded value was not stored, because its load had lost the lease."""
        self._write("refused", subject, now())
        self.flush()

    def stalled(self, since: int) -> None:
        """The event loop has not run since then."""
        self._write("stalled", ("-", 0), since, now())

    def flush(self) -> None:
        """Write what is in the buffer: a process that is killed takes that with it."""
        if not self._file.closed:
            self._file.flush()

    def close(self) -> None:
        """Write the rest."""
        self._file.close()

    def _write(self, event: str, subject: Subject, *details: object) -> None:
        name, item = subject
        if not self._file.closed:  # a task may outlive the work of its process by a moment
            self._file.write("\t".join(map(str, (event, name, item, *details))) + "\n")


def now() -> int:
    """Nanoseconds on the clock of all processes."""
    return time.monotonic_ns()
