"""What a history consists of; times are nanoseconds on the clock of all processes."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class FunctionRun:
    """One run of the function behind a cached call.

    Attributes:
        process: Where it ran.
        since: When its load began, see `overlaps`.
        began: When the function began.
        bypassed: Redis could not be used, or not be believed: it ran without a lease, for one call.
        ended: When the function ended, in whatever way; `NEVER` if that was not written down.
    """

    process: int
    since: int
    began: int
    bypassed: bool
    ended: int


@dataclass(slots=True)
class Cause:
    """Something that takes the lease of a subject away from whichever load has it.

    Attributes:
        process: Where it was asked for.
        way: How: one of the ways to invalidate, a refresh or a warm.
        began: Before it was sent.
        ended: When it could no longer take effect; `NEVER` if that was not written down.
    """

    process: int
    way: str
    began: int
    ended: int


@dataclass(slots=True)
class Fault:
    """One fault.

    Attributes:
        name: Its kind.
        processes: The workers it concerns; None for all.
        began: Before it.
        ended: After it; `NEVER` while it lasts.
        late_ns: How much later arrives what was sent while it lasted.
    """

    name: str
    processes: frozenset[int] | None
    began: int
    ended: int
    late_ns: int = 0


@dataclass(frozen=True, slots=True)
class LostWrites:
    """Writes that a primary has acknowledged, and that perhaps no other server has.

    Attributes:
        began: From when on.
        ended: When it could acknowledge nothing any more.
        slots: The slots of its keys.
    """

    began: int
    ended: int
    slots: frozenset[int]


NEVER = 1 << 62
"""Later than everything."""
