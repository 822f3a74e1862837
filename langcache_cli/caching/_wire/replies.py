"""Replies of Redis on their way to those who wait for them."""

from __future__ import annotations

import asyncio
from typing import Any


class Replies:
    """The replies to several commands, handed over together."""

    __slots__ = ("_missing", "_replies", "future")

    def __init__(self, loop: asyncio.AbstractEventLoop, count: int) -> None:
        self._missing = count
        self._replies: list[Any] = []
        self.future: asyncio.Future[list[Any]] = loop.create_future()
        """Holds them in order, error replies included; fails if the connection ends."""

    def receive(self, reply: Any) -> None:
        """Take the next one, or the error that ends it all."""
        if isinstance(reply, ConnectionError):
            fail(self.future, reply)
            return
        self._replies.append(reply)
        self._missing -= 1
        if not self._missing:
            answer(self.future, self._replies)


def is_reply_to_mget(values: object, count: int) -> bool:
    """Whether it is a value or nothing for each of so many keys."""
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
