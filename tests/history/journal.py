"""What a worker writes down, and reading it back: one line for each event, times on the monotonic clock.

That clock is one for all processes of a machine. A worker that is killed leaves a line half written.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

FLUSH_BYTES = 1 << 15

Subject = tuple[str, int]
"""A function by its name, and the item it was asked for: what has a version in the database."""


@dataclass(frozen=True, slots=True)
class Read:
    """One call of a cached function: what it returned, and when it began and ended (ns)."""

    process: int
    version: int
    began: int
    ended: int


@dataclass
class Reads:
    """The reads of one subject, in columns: there are millions."""

    process: array[int] = field(default_factory=lambda: array("q"))
    version: array[int] = field(default_factory=lambda: array("q"))
    began: array[int] = field(default_factory=lambda: array("q"))
    ended: array[int] = field(default_factory=lambda: array("q"))

    def add(self, read: Read) -> None:
        self.process.append(read.process)
        self.version.append(read.version)
        self.began.append(read.began)
        self.ended.append(read.ended)

    def __iter__(self) -> Iterator[Read]:
        return map(Read, self.process, self.version, self.began, self.ended)

    def __len__(self) -> int:
        return len(self.version)


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
                raise ValueError(f"no such event: {event}")

    def __len__(self) -> int:
        """How many reads there are."""
        return sum(map(len, self.reads.values()))


class Journal:
    """Where one worker writes."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", buffering=FLUSH_BYTES)

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

    def flush(self) -> None:
        """Write what is in the buffer: a process that is killed takes that with it."""
        self._file.flush()

    def close(self) -> None:
        """Write the rest."""
        self._file.close()

    def _write(self, event: str, subject: Subject, *details: object) -> None:
        name, item = subject
        self._file.write("\t".join(map(str, (event, name, item, *details))) + "\n")


def now() -> int:
    """Nanoseconds on the clock of all processes."""
    return time.monotonic_ns()
