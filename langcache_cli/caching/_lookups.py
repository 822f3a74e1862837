"""Look-ups that travel together, and how those who asked get their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from langcache_cli.caching._link import pack
from langcache_cli.caching._replies import fail

KEYS_PER_LOOKUP = 256
"""An MGET of more would keep the server from its other clients."""

Names = tuple[str, ...]


class Lookup:
    """One MGET for many callers, each of whom gets the values of its own keys."""

    __slots__ = ("_callers", "_new_future", "_places", "_settle", "full")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settle: Callable[[Any], list[bytes | None] | Exception]
    ) -> None:
        """Start without keys.

        Args:
            loop: That of the callers.
            settle: Makes of the reply what the callers are told: the values, or an error.
        """
        self._new_future = loop.create_future
        self._settle = settle
        self._places: dict[str, int] = {}
        self._callers: list[tuple[Names, asyncio.Future[Any]]] | None = []
        self.full = False
        """Whether more keys should go into another one."""

    @property
    def count(self) -> int:
        """How many keys it asks for; each once."""
        return len(self._places)

    def packed(self) -> bytes:
        """The command."""
        return pack(("MGET", *self._places))

    def add(self, names: Names) -> asyncio.Future[Any]:
        """The values of ``names``: of one the value, of several a list; None for nothing."""
        places = self._places
        for name in names:
            places.setdefault(name, len(places))
        self.full = len(places) >= KEYS_PER_LOOKUP
        caller = self._new_future()
        self._callers.append((names, caller))  # type: ignore[union-attr] # nothing is added after the reply
        return caller

    def receive(self, reply: Any) -> None:
        """Give everyone what they asked for, or the error; what comes after the first reply is ignored."""
        callers, self._callers = self._callers, None
        if callers is None:
            return
        values = self._settle(reply)
        if isinstance(values, Exception):
            for _, caller in callers:
                fail(caller, values)
            return
        places = self._places
        for names, caller in callers:
            if caller.done():
                continue
            if len(names) == 1:
                caller.set_result(values[places[names[0]]])
            else:
                caller.set_result([values[places[name]] for name in names])
