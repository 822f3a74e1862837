"""Handing replies of Redis to the futures that wait for them."""

from __future__ import annotations

import asyncio
from types import NoneType
from typing import Any

_VALUE_TYPES = {bytes, NoneType}


class Replies:
    """Collects the replies to several commands for one caller."""

    __slots__ = ("_missing", "_replies", "future")

    def __init__(self, loop: asyncio.AbstractEventLoop, count: int) -> None:
        self._missing = count
        self._replies: list[Any] = []
        self.future: asyncio.Future[list[Any]] = loop.create_future()
        """The replies in order, error replies included; fails if the connection ends first."""

    def receive(self, reply: Any) -> None:
        """Take the next reply, or the error that ends the connection."""
        if isinstance(reply, ConnectionError):
            fail(self.future, reply)
            return
        self._replies.append(reply)
        self._missing -= 1
        if not self._missing:
            answer(self.future, self._replies)


def is_mget_reply(values: object, count: int) -> bool:
    """True for a list of ``count`` items, each of them bytes or None."""
    return isinstance(values, list) and len(values) == count and {*map(type, values)} <= _VALUE_TYPES


def answer(caller: asyncio.Future[Any], reply: Any) -> None:
    """Resolve a caller's future, unless the caller was cancelled."""
    if not caller.done():
        caller.set_result(reply)


def fail(caller: asyncio.Future[Any], error: Exception) -> None:
    """Fail a caller's future, unless the caller was cancelled."""
    if not caller.done():
        caller.set_exception(error)
        caller.exception()  # marks it as retrieved: asyncio must not log it if the caller has gone
