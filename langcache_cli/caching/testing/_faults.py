"""Faults between a cache and its Redis, switched on and off by a test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._errors import ConnectionLostError
from langcache_cli.caching._wire.connection import Receiver
from langcache_cli.caching._wire.externals import Connect, Connection, Externals
from langcache_cli.caching._wire.handshake import connect


class _Mode(Enum):
    NONE = "none"
    FAIL = "fail"
    DROP = "drop"
    DROP_REPLIES = "drop replies"


class Faults:
    """Makes the Redis of a cache slow, silent or unreachable.

    Give it to `memory_cache`, or to a cache with a real Redis:
    ``Cache(settings, externals=faults.externals())``.
    """

    def __init__(self) -> None:
        """Begin without a fault."""
        self._mode = _Mode.NONE
        self._delay_seconds = 0.0

    def fail(self) -> None:
        """Refuse connections, and cut those that there are as soon as they are used."""
        self._mode = _Mode.FAIL

    def drop(self) -> None:
        """Let requests vanish: nothing is done, and no reply comes."""
        self._mode = _Mode.DROP

    def drop_replies(self) -> None:
        """Carry requests out, and let the replies vanish."""
        self._mode = _Mode.DROP_REPLIES

    def delay(self, seconds: float) -> None:
        """Hold each reply back for some seconds."""
        self._delay_seconds = seconds

    def heal(self) -> None:
        """End all faults."""
        self._mode, self._delay_seconds = _Mode.NONE, 0.0

    @contextmanager
    def failing(self) -> Iterator[None]:
        """`fail` inside the ``with``, `heal` after it."""
        self.fail()
        try:
            yield
        finally:
            self.heal()

    def externals(self, around: Externals | None = None) -> Externals:
        """What to give a `Cache` so that it feels these faults."""
        around = around or Externals(connect)
        return Externals(self._around(around.connect), around.now_ms)

    def _around(self, connect: Connect) -> Connect:
        async def connect_through(address: RedisAddress) -> Connection:
            if self._mode is _Mode.FAIL:
                raise ConnectionRefusedError("refused by a fault of the test")
            await asyncio.sleep(self._delay_seconds)
            return _FaultyConnection(await connect(address), self)

        return connect_through

    def carry(self, connection: Connection, packed: bytes, receivers: Sequence[Receiver]) -> None:
        """Send requests as the faults of the moment have it.

        Raises:
            ConnectionLostError: The connection is cut.
        """
        if self._mode is _Mode.FAIL:
            connection.abort()
            raise ConnectionLostError("cut by a fault of the test")
        if self._mode is _Mode.DROP:
            return
        if self._mode is _Mode.DROP_REPLIES:
            receivers = [_nobody] * len(receivers)
        elif self._delay_seconds:
            receivers = [self._late(receive) for receive in receivers]
        connection.send(packed, receivers)

    def _late(self, receive: Receiver) -> Receiver:
        loop, seconds = asyncio.get_running_loop(), self._delay_seconds
        return lambda reply: loop.call_later(seconds, receive, reply)


class _FaultyConnection:
    """A connection that goes through `Faults`."""

    def __init__(self, connection: Connection, faults: Faults) -> None:
        self._connection = connection
        self._faults = faults
        self._loop = asyncio.get_running_loop()
        self._unanswered: dict[int, Receiver] = {}
        self._number = 0

    @property
    def alive(self) -> bool:
        return self._connection.alive

    def send(self, packed: bytes, receivers: Sequence[Receiver]) -> None:
        tracked = [self._tracked(receive) for receive in receivers]
        self._faults.carry(self._connection, packed, tracked)

    def listen(self, on_push: Callable[[list[Any]], object], on_end: Callable[[], object]) -> None:
        self._connection.listen(on_push, on_end)

    def _tracked(self, receive: Receiver) -> Receiver:
        """It, or the end of the connection: whichever comes first."""
        number = self._number = self._number + 1

        def once(reply: Any) -> None:
            if self._unanswered.pop(number, None) is not None:
                receive(reply)

        self._unanswered[number] = receive
        return once

    def abort(self) -> None:
        self._connection.abort()
        unanswered, self._unanswered = self._unanswered, {}
        if not self._loop.is_closed():
            for receive in unanswered.values():
                receive(ConnectionLostError("the connection was closed"))


def _nobody(_reply: Any) -> None:
    pass
