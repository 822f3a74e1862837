"""The steps that must be atomic, as Lua scripts: each takes keys that have nothing to do with each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files
from itertools import chain

Argument = bytes | str | int
Column = Sequence[Argument]
"""What a script needs to know about its keys: one thing about each of them."""

KEYS_PER_RUN = 100
"""A script on so many takes the server about half a millisecond, in which it serves nobody else."""

BYTES_PER_RUN = 128 * 1024
"""The server holds a command in memory until it has all of it."""


@dataclass(frozen=True, slots=True)
class Run:
    """Some of the keys of a script, with what it needs to know about them.

    Attributes:
        n_keys: How many.
        arguments: The keys, then for each of them in turn what the columns say.
    """

    n_keys: int
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and the name that Redis knows it by once it has run."""

    source: str
    digest: str

    def by_digest(self, run: Run) -> tuple[Argument, ...]:
        """The command that runs it for some keys when the server has it; ``NOSCRIPT`` otherwise."""
        return ("EVALSHA", self.digest, run.n_keys, *run.arguments)

    def by_source(self, run: Run) -> tuple[Argument, ...]:
        """The command that runs it in any case."""
        return ("EVAL", self.source, run.n_keys, *run.arguments)


@cache
def script(name: str) -> Script:
    """The script in ``lua/{name}.lua``."""
    source = (files("langcache_cli.caching._protocol") / "lua" / f"{name}.lua").read_text("utf-8")
    return Script(source, sha1(source.encode(), usedforsecurity=False).hexdigest())


def runs(keys: Sequence[str], columns: Sequence[Column]) -> Iterator[Run]:
    """Keys in portions that do not keep the server from its other clients for long."""
    for at in range(0, len(keys), KEYS_PER_RUN):
        until = at + KEYS_PER_RUN
        yield from _halved(keys[at:until], [column[at:until] for column in columns])


def _halved(keys: Sequence[str], columns: Sequence[Column]) -> Iterator[Run]:
    if len(keys) > 1 and sum(map(_n_bytes, columns)) > BYTES_PER_RUN:
        middle = len(keys) // 2
        yield from _halved(keys[:middle], [column[:middle] for column in columns])
        yield from _halved(keys[middle:], [column[middle:] for column in columns])
    else:
        yield Run(len(keys), (*keys, *chain.from_iterable(zip(*columns, strict=True))))


def _n_bytes(column: Column) -> int:
    return sum(map(len, column)) if isinstance(column[0], bytes) else 0  # type: ignore[arg-type] # bytes, all
