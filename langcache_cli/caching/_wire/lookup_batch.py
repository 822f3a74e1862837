"""Look-ups that travel together, and how those who asked get their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._wire.connection import pack
from langcache_cli.caching._wire.replies import fail

KEYS_PER_LOOKUP = 256
"""An MGET of more would keep the server from its other clients."""


class LookupBatch:
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
        self._callers: list[tuple[int | list[int], asyncio.Future[Any]]] | None = []
        self.full = False
        """Whether more keys should go into another one."""

    @property
    def count(self) -> int:
        """How many keys it asks for; each once."""
        return len(self._places)

    def packed(self) -> bytes:
        """The command."""
        return pack(("MGET", *self._places))

    def add(self, names: KeyAndTags) -> asyncio.Future[Any]:
        """The values of ``names``: of one the value, of several a list; None for nothing."""
        places = self._places
        place: int | list[int]
        if len(names) == 1:
            place = places.setdefault(names[0], len(places))
        else:
            place = [places.setdefault(name, len(places)) for name in names]
        self.full = len(places) >= KEYS_PER_LOOKUP
        caller = self._new_future()
        self._callers.append((place, caller))  # type: ignore[union-attr] # nothing is added after the reply
        return caller

    def receive(self, reply: Any) -> None:
        """Give everyone what they asked for, or the error; what comes after the first reply is ignored."""
        callers, self._callers = self._callers, None
        self.full = True  # when its time was up before it was sent
        if callers is None:
            return
        values = self._settle(reply)
        if isinstance(values, Exception):
            for _, caller in callers:
                fail(caller, values)
            return
        for place, caller in callers:
            if not caller.done():
                caller.set_result(values[place] if isinstance(place, int) else [values[one] for one in place])
