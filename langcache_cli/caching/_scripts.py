"""The steps that must be atomic, as Lua scripts that each touch one key."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and the name that Redis knows it by once it has run."""

    source: str
    digest: str

    def by_digest(self, key: str, *arguments: bytes | str | int) -> tuple[bytes | str | int, ...]:
        """The command that runs it when the server has it; ``NOSCRIPT`` otherwise."""
        return ("EVALSHA", self.digest, 1, key, *arguments)

    def by_source(self, key: str, *arguments: bytes | str | int) -> tuple[bytes | str | int, ...]:
        """The command that runs it in any case."""
        return ("EVAL", self.source, 1, key, *arguments)


@cache
def script(name: str) -> Script:
    """The script in ``scripts/{name}.lua``."""
    source = (files("langcache_cli.caching") / "scripts" / f"{name}.lua").read_text("utf-8")
    return Script(source, sha1(source.encode(), usedforsecurity=False).hexdigest())
