"""What one server says of itself, over a connection of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from langcache_cli.caching import CacheError, ServerReplyError
from langcache_cli.caching.tooling import (
    RedisAddress,
    RedisConnection,
    ask,
    connect,
    reply_fields,
    unavailable,
)

Question = tuple[str, ...]

INFO: Final = ("INFO",)


@dataclass(frozen=True)
class ServerFacts:
    """The replies of one server.

    Attributes:
        address: The server.
        seconds: The round trip of a ``PING``; None if it was not answered.
        replies: The replies by question, error replies included; empty if it cannot be used.
        error: Why it cannot be used; None if it can.
        asked: When the questions were sent and the last one was answered, in seconds since 1970 by the clock
            of this machine; None if they were not.
        speaks_tls: What the port speaks, if it is not what the URL says; None if it is, or is not known.
    """

    address: RedisAddress
    seconds: float | None = None
    replies: Mapping[Question, Any] = field(default_factory=dict)
    error: CacheError | None = None
    asked: tuple[float, float] | None = None
    speaks_tls: bool | None = None

    @property
    def where(self) -> str:
        """Host and port, or the path of the socket."""
        return self.address.where

    @cached_property
    def info(self) -> Mapping[str, str]:
        """``INFO`` by field; empty if it was not answered."""
        return fields_of(self.replies.get(INFO))

    @property
    def version(self) -> tuple[int, ...]:
        """The version of Redis that its replies follow, Valkey's included; empty if it is not known."""
        parts = self.info.get("redis_version", "").split(".")
        return tuple(int(part) for part in parts) if all(map(str.isdecimal, parts)) else ()

    def number(self, name: str) -> int | None:
        """A number of ``INFO``; None if it is not known."""
        text = self.info.get(name, "")
        return int(text) if text.isdecimal() else None

    def setting(self, name: str) -> str | None:
        """The value of a setting that was asked for; None if it is not known."""
        reply = self.replies.get(config_get(name))
        if isinstance(reply, Mapping):
            reply = [word for pair in reply.items() for word in pair]
        if not isinstance(reply, list) or len(reply) < len(("name", "value")):
            return None
        value = reply[1]
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def refused(self, question: Question) -> ServerReplyError | None:
        """The error reply to a question; None if it was answered, or not asked."""
        reply = self.replies.get(question)
        return reply if isinstance(reply, ServerReplyError) else None


async def ask_server(address: RedisAddress, questions: Sequence[Question], *, within: float) -> ServerFacts:
    """Ask a server; what goes wrong is among the facts.

    Args:
        address: The server.
        questions: Commands that change nothing.
        within: Seconds for everything.
    """
    try:
        async with asyncio.timeout(within):
            connection = await connect(address)
            try:
                seconds = await round_trip(connection)
                began = time.time()
                replies = await ask(connection, questions)
                asked = began, time.time()
            finally:
                connection.abort()
    except (OSError, UnicodeError, ServerReplyError) as error:
        failure = unavailable(error, address)
        failure.__cause__ = error
        return ServerFacts(address, error=failure)
    return ServerFacts(address, seconds, dict(zip(questions, replies, strict=True)), asked=asked)


async def round_trip(connection: RedisConnection) -> float:
    """Seconds of a ``PING``, the shortest of three: others are asked at the same time."""
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        await ask(connection, [("PING",)])
        taken.append(time.perf_counter() - started)
    return min(taken)


def config_get(name: str) -> Question:
    """The question for one setting: servers before Redis 7 answer for one at a time."""
    return ("CONFIG", "GET", name)


def fields_of(reply: object) -> Mapping[str, str]:
    """A reply of lines ``name:value``; empty for an error."""
    return reply_fields(reply) if isinstance(reply, bytes) else {}
