"""Fault injection between a cache and its Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from typing import Any

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._errors import ConnectionLostError
from langcache_cli.caching._wire.connection import Receiver
from langcache_cli.caching._wire.externals import Connect, Connection, Externals
from langcache_cli.caching._wire.handshake import connect
from langcache_cli.caching._wire.server_identity import ServerIdentity


class _Mode(Enum):
    NONE = "none"
    FAIL = "fail"
    DROP = "drop"
    DROP_REPLIES = "drop replies"


class Faults:
    """Makes the Redis of a cache slow, unresponsive or unreachable, until `heal`.

    Pass it to `memory_cache`, or to a cache with a real Redis:
    ``Cache(settings, externals=faults.externals())``.
    """

    def __init__(self) -> None:
        """Start without a fault."""
        self._mode = _Mode.NONE
        self._delay_seconds = 0.0

    def fail(self) -> None:
        """Refuse new connections, and abort existing ones at their next use."""
        self._mode = _Mode.FAIL

    def drop(self) -> None:
        """Discard requests: they are not executed, and there is no reply."""
        self._mode = _Mode.DROP

    def drop_replies(self) -> None:
        """Execute requests and discard their replies."""
        self._mode = _Mode.DROP_REPLIES

    def delay(self, seconds: float) -> None:
        """Delay each reply, and each new connection, by ``seconds``."""
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
        """The ``externals`` argument of a `Cache` that has these faults.

        Args:
            around: Opens the real connections; by default to the Redis of the settings.
        """
        around = around or Externals(connect)
        return replace(around, connect=self._faulty(around.connect))

    def _faulty(self, connect: Connect) -> Connect:
        async def faulty_connect(address: RedisAddress) -> Connection:
            if self._mode is _Mode.FAIL:
                raise ConnectionRefusedError("refused by an injected fault")
            await asyncio.sleep(self._delay_seconds)  # the delay that was injected
            return _FaultyConnection(await connect(address), self)

        return faulty_connect

    def send(self, connection: Connection, encoded: bytes, receivers: Sequence[Receiver]) -> None:
        """Send encoded commands over a connection, subject to the current faults.

        Raises:
            ConnectionLostError: The fault aborted the connection.
        """
        if self._mode is _Mode.FAIL:
            connection.abort()
            raise ConnectionLostError("aborted by an injected fault")
        if self._mode is _Mode.DROP:
            return
        if self._mode is _Mode.DROP_REPLIES:
            receivers = [_discard] * len(receivers)
        elif self._delay_seconds:
            receivers = [self._delayed(receive) for receive in receivers]
        connection.send(encoded, receivers)

    def _delayed(self, receive: Receiver) -> Receiver:
        loop, seconds = asyncio.get_running_loop(), self._delay_seconds
        return lambda reply: loop.call_later(seconds, receive, reply)


class _FaultyConnection:
    """A connection with injected faults."""

    def __init__(self, connection: Connection, faults: Faults) -> None:
        self._connection = connection
        self._faults = faults
        self._loop = asyncio.get_running_loop()
        self._unanswered: dict[int, Receiver] = {}
        self._number = 0

    @property
    def alive(self) -> bool:
        return self._connection.alive

    @property
    def server(self) -> ServerIdentity | None:
        return self._connection.server

    def call_at_end(self, on_end: Callable[[], object]) -> None:
        self._connection.call_at_end(on_end)

    def send(self, encoded: bytes, receivers: Sequence[Receiver]) -> None:
        self._faults.send(self._connection, encoded, [self._pending(receive) for receive in receivers])

    def listen(self, on_push: Callable[[list[Any]], object], on_end: Callable[[], object]) -> None:
        self._connection.listen(on_push, on_end)

    def _pending(self, receive: Receiver) -> Receiver:
        """A receiver that passes on the reply, unless `abort` has failed the request before."""
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


def _discard(_reply: Any) -> None:
    pass
