"""The steps that must be atomic, as Lua scripts: each takes keys that have nothing to do with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files

Argument = bytes | str | int
Call = tuple[str, *tuple[Argument, ...]]
"""A key, and what a script needs to know about it."""


KEYS_PER_RUN = 100
"""A script on so many takes the server about half a millisecond, in which it serves nobody else."""

BYTES_PER_RUN = 128 * 1024
"""The server holds a command in memory until it has all of it."""


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and the name that Redis knows it by once it has run."""

    source: str
    digest: str

    def by_digest(self, calls: Sequence[Call]) -> tuple[Argument, ...]:
        """The command that runs it for some keys when the server has it; ``NOSCRIPT`` otherwise."""
        return self._command("EVALSHA", self.digest, calls)

    def by_source(self, calls: Sequence[Call]) -> tuple[Argument, ...]:
        """The command that runs it in any case."""
        return self._command("EVAL", self.source, calls)

    def _command(self, name: str, script: str, calls: Sequence[Call]) -> tuple[Argument, ...]:
        keys = [call[0] for call in calls]
        arguments = [argument for call in calls for argument in call[1:]]
        return (name, script, len(keys), *keys, *arguments)


@cache
def script(name: str) -> Script:
    """The script in ``scripts/{name}.lua``."""
    source = (files("langcache_cli.caching") / "scripts" / f"{name}.lua").read_text("utf-8")
    return Script(source, sha1(source.encode(), usedforsecurity=False).hexdigest())


def grouped(calls: Sequence[Call]) -> list[list[Call]]:
    """Calls in groups that a script can be run on without keeping the server from its other clients."""
    groups: list[list[Call]] = [[]]
    n_bytes = 0
    for call in calls:
        if n_bytes > BYTES_PER_RUN or len(groups[-1]) == KEYS_PER_RUN:
            groups.append([])
            n_bytes = 0
        groups[-1].append(call)
        n_bytes += sum([len(argument) for argument in call if type(argument) is bytes])
    return groups
