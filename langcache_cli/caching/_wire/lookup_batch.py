"""Look-ups of one turn of the event loop, sent as one MGET."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._wire.connection import encode_command
from langcache_cli.caching._wire.replies import fail

KEYS_PER_LOOKUP = 256
"""Upper bound for the keys of one MGET: a larger one would delay the other clients of the server."""

CALLERS_PER_LOOKUP = 2 * KEYS_PER_LOOKUP
"""Upper bound for the callers of one MGET, all of which go on in the turn in which its reply comes."""


class LookupBatch:
    """One MGET for many callers, each of which gets the values of its own keys."""

    __slots__ = ("_callers", "_new_future", "_places", "_settle", "full")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settle: Callable[[Any], list[bytes | None] | Exception]
    ) -> None:
        """Start without keys.

        Args:
            loop: The event loop of the callers.
            settle: Turns the raw reply into the values, or into the error that all callers get.
        """
        self._new_future = loop.create_future
        self._settle = settle
        self._places: dict[str, int] = {}
        self._callers: list[tuple[int | slice | list[int], asyncio.Future[Any]]] | None = []
        self.full = False
        """True when further keys belong in another batch."""

    @property
    def count(self) -> int:
        """The number of distinct keys."""
        return len(self._places)

    def encode(self) -> bytes:
        """The bytes of the command."""
        return encode_command(("MGET", *self._places))

    def add(self, keys: KeyAndTags) -> asyncio.Future[Any]:
        """A future for the values of ``keys``: the value of a single key, else a list; None for no value."""
        places = self._places
        place: int | slice | list[int]
        if len(keys) == 1:
            place = places.setdefault(keys[0], len(places))
        elif not places and len(places := dict(zip(keys, range(len(keys)), strict=True))) == len(keys):
            self._places, place = places, slice(len(keys))
        else:
            places = self._places
            place = [places.setdefault(key, len(places)) for key in keys]
        caller = self._new_future()
        callers = self._callers
        callers.append((place, caller))  # type: ignore[union-attr] # nothing is added after the reply
        self.full = len(places) >= KEYS_PER_LOOKUP or len(callers) >= CALLERS_PER_LOOKUP  # type: ignore[arg-type]
        return caller

    def give_up(self, error: Exception) -> None:
        """Let no caller wait any longer; the reply, or its absence, still counts."""
        callers, self._callers = self._callers, []
        self.full = True
        for _, caller in callers or ():
            fail(caller, error)

    def receive(self, reply: Any) -> None:
        """Resolve the futures of all callers. Only the first reply, or time-out, counts."""
        callers, self._callers = self._callers, None
        self.full = True  # it may time out before it was sent
        if callers is None:
            return
        values = self._settle(reply)
        if isinstance(values, Exception):
            for _, caller in callers:
                fail(caller, values)
            return
        for place, caller in callers:
            if not caller.done():
                caller.set_result(
                    [values[one] for one in place] if isinstance(place, list) else values[place]
                )


def no_lookups() -> LookupBatch:
    """For a connection that carries commands only.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError("this connection carries no look-ups")
