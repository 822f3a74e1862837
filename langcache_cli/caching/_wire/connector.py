"""The one connection to a server: made when it is needed, shared by all who need it, made anew when lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._errors import ConnectionLostError
from langcache_cli.caching._wire.externals import Connect, Connection
from langcache_cli.caching._wire.idle_clock import IdleClock
from langcache_cli.caching._wire.lookup_batch import LookupBatch
from langcache_cli.caching._wire.replies import answer, fail
from langcache_cli.caching._wire.write_batch import BatchedConnection

T = TypeVar("T")


class Connector:
    """Connects, one attempt at a time."""

    def __init__(
        self,
        address: RedisAddress,
        *,
        connect: Connect,
        clock: IdleClock,
        timeout: float,
        open_lookup: Callable[[], LookupBatch],
        on_connect: Callable[[BatchedConnection], object] | None,
    ) -> None:
        """Connect to nothing yet.

        Args:
            address: The server.
            connect: Opens a connection.
            clock: What times are measured on.
            timeout: Seconds that an attempt may take.
            open_lookup: Makes a look-up without keys.
            on_connect: Given each new connection, before anything is sent over it.
        """
        self.out: BatchedConnection | None = None
        """The connection, if there is one; it may have ended."""
        self._address = address
        self._connect_to = connect
        self._clock = clock
        self._timeout = timeout
        self._open_lookup = open_lookup
        self._on_connect = on_connect
        self._connecting: asyncio.Task[BatchedConnection] | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def busy(self) -> bool:
        """Whether an attempt is under way."""
        return self._connecting is not None

    async def connected(self, ends: float) -> BatchedConnection:
        """A new connection; callers that need one at the same time share one attempt to connect.

        Raises:
            OSError: There is none; `TimeoutError` when the clock shows ``ends``.
            ServerReplyError: The server wants none.
        """
        connecting = self._connecting or self._start(self._connect(), "langcache-connect")
        # not for the task itself: its cancellation would look like that of the caller
        ended: asyncio.Future[None] = self._loop.create_future()
        connecting.add_done_callback(lambda _: answer(ended, None))
        await in_time(ended, self._clock, ends)
        if connecting.cancelled():
            raise ConnectionLostError("the attempt to connect was given up")
        return connecting.result()

    def connect_soon(self, on_success: Callable[[], object]) -> None:
        """Connect in the background; nobody hears of a failure."""
        self._start(self._probe(on_success), "langcache-probe")

    def cut(self) -> None:
        """Drop the connection; the next who needs one makes a new one."""
        if self.out is not None:
            self.out.link.abort()

    def abandon(self) -> list[asyncio.Task[BatchedConnection]]:
        """Drop the connection for good. Works after the loop has closed, too.

        Returns:
            What is under way and should be cancelled if the loop still runs.
        """
        self.cut()
        self.out = None
        return [self._connecting] if self._connecting is not None else []

    def _start(
        self, work: Coroutine[Any, Any, BatchedConnection], name: str
    ) -> asyncio.Task[BatchedConnection]:
        connecting = self._loop.create_task(work, name=name)
        self._connecting = connecting
        connecting.add_done_callback(self._ended)  # however it ends: one that never began has no `finally`
        return connecting

    def _ended(self, connecting: asyncio.Task[BatchedConnection]) -> None:
        if self._connecting is connecting:
            self._connecting = None
        if not connecting.cancelled():
            connecting.exception()  # looks at a failure that all who waited for may have stopped waiting for

    async def _connect(self) -> BatchedConnection:
        try:
            link = await self._within_timeout(self._connect_to(self._address))
        except UnicodeError as error:
            raise OSError(f"{self._address.host!r} is not a host name") from error
        self._connecting = None
        self.cut()  # one that was made while the breaker opened
        out = BatchedConnection(link, self._open_lookup)
        if self._on_connect is not None:
            self._on_connect(out)
        self.out = out
        return out

    async def _probe(self, on_success: Callable[[], object]) -> BatchedConnection:
        out = await self._connect()
        on_success()
        return out

    async def _within_timeout(self, connecting: Awaitable[Connection]) -> Connection:
        async with asyncio.timeout(None) as timeout:
            timer = self._clock.call_after(self._timeout, lambda: timeout.reschedule(self._loop.time()))
            try:
                return await connecting
            finally:
                timer.cancel()


async def in_time(reply: asyncio.Future[T], clock: IdleClock, ends: float) -> T:
    """What a future is given before ``clock`` shows ``ends``; `TimeoutError` after that."""
    timer = clock.call_after(ends - clock.time(), lambda: fail(reply, TimeoutError()))
    try:
        return await reply
    finally:
        timer.cancel()
