"""Faults between a cache and its Redis, switched on and off by a test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any

from langcache_cli.caching._addresses import RedisAddress
from langcache_cli.caching._link import LinkLostError, connect
from langcache_cli.caching._lookups import fail
from langcache_cli.caching._surroundings import Connect, Connection, Surroundings


class _Mode(Enum):
    NONE = "none"
    FAIL = "fail"
    DROP = "drop"
    DROP_REPLIES = "drop replies"


class Faults:
    """Makes the Redis of a cache slow, silent or unreachable.

    Give it to `memory_cache`, or to a cache with a real Redis:
    ``Cache(settings, surroundings=faults.surroundings())``.
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

    def surroundings(self, around: Surroundings | None = None) -> Surroundings:
        """What to give a `Cache` so that it feels these faults."""
        around = around or Surroundings(connect)
        return Surroundings(self._around(around.connect), around.now_ms)

    def _around(self, connect: Connect) -> Connect:
        async def connect_through(address: RedisAddress) -> Connection:
            if self._mode is _Mode.FAIL:
                raise ConnectionRefusedError("refused by a fault of the test")
            await asyncio.sleep(self._delay_seconds)
            return _FaultyConnection(await connect(address), self)

        return connect_through

    def carry(self, connection: Connection, send: Callable[[], asyncio.Future[Any]]) -> asyncio.Future[Any]:
        """Send a request as the faults of the moment have it.

        Raises:
            LinkLostError: The connection is cut.
        """
        if self._mode is _Mode.FAIL:
            connection.abort()
            raise LinkLostError("cut by a fault of the test")
        loop = asyncio.get_running_loop()
        if self._mode is _Mode.DROP:
            return loop.create_future()
        reply = send()
        if self._mode is _Mode.DROP_REPLIES:
            return loop.create_future()
        if not self._delay_seconds:
            return reply
        late: asyncio.Future[Any] = loop.create_future()
        loop.call_later(self._delay_seconds, reply.add_done_callback, lambda done: _copy(done, late))
        return late


class _FaultyConnection:
    """A connection that goes through `Faults`."""

    def __init__(self, connection: Connection, faults: Faults) -> None:
        self._connection = connection
        self._faults = faults
        self._unanswered: set[asyncio.Future[Any]] = set()

    @property
    def alive(self) -> bool:
        return self._connection.alive

    def lookup(self, keys: Sequence[str]) -> asyncio.Future[Any]:
        return self._carried(lambda: self._connection.lookup(keys))

    def request(self, packed: bytes) -> asyncio.Future[Any]:
        return self._carried(lambda: self._connection.request(packed))

    def _carried(self, send: Callable[[], asyncio.Future[Any]]) -> asyncio.Future[Any]:
        future = self._faults.carry(self._connection, send)
        self._unanswered.add(future)
        future.add_done_callback(self._unanswered.discard)
        return future

    def abort(self) -> None:
        self._connection.abort()
        for future in tuple(self._unanswered):
            if not future.get_loop().is_closed():
                fail(future, LinkLostError("the connection was closed"))


def _copy(done: asyncio.Future[Any], late: asyncio.Future[Any]) -> None:
    if late.done() or done.cancelled():
        return
    error = done.exception()
    if isinstance(error, Exception):
        fail(late, error)
    else:
        late.set_result(done.result())
