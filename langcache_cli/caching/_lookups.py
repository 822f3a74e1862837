"""Look-ups that travel together, and how those who asked get their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from langcache_cli.caching._errors import ServerReplyError

KEYS_PER_LOOKUP = 256
"""An MGET of more would keep the server from its other clients."""


class Lookup:
    """One MGET for many callers, each of whom gets the values of its own keys."""

    __slots__ = ("_callers", "_places")

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._callers: list[tuple[Sequence[str], asyncio.Future[Any]]] = []

    @property
    def keys(self) -> list[str]:
        """Each key once."""
        return list(self._places)

    @property
    def full(self) -> bool:
        """Whether more keys should go into another one."""
        return len(self._places) >= KEYS_PER_LOOKUP

    def add(self, keys: Sequence[str], caller: asyncio.Future[Any]) -> None:
        """Answer ``caller`` with the values of ``keys``."""
        for key in keys:
            self._places.setdefault(key, len(self._places))
        self._callers.append((keys, caller))

    def answer(self, values: list[bytes | None] | ServerReplyError) -> None:
        """Give everyone what they asked for, or the error.

        Raises:
            ValueError: The reply is not one to an MGET. Nobody has been answered.
        """
        if not isinstance(values, ServerReplyError) and not _is_reply(values, len(self._places)):
            raise ValueError("not a reply to MGET")
        for keys, caller in self._callers:
            if isinstance(values, ServerReplyError):
                answer(caller, values)
            else:
                answer(caller, [values[self._places[key]] for key in keys])

    def fail(self, error: Exception) -> None:
        """Tell everyone that no reply will come."""
        for _, caller in self._callers:
            fail(caller, error)


def _is_reply(values: object, count: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == count
        and all(value is None or isinstance(value, bytes) for value in values)
    )


def answer(caller: asyncio.Future[Any], reply: Any) -> None:
    """Give a caller its reply, unless it was cancelled."""
    if not caller.done():
        caller.set_result(reply)


def fail(caller: asyncio.Future[Any], error: Exception) -> None:
    """Tell a caller that no reply will come, unless it was cancelled."""
    if not caller.done():
        caller.set_exception(error)
        caller.exception()  # whoever waited may be gone: not an error to report
