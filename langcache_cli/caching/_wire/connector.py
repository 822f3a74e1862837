"""Establishing the one connection to a server: on demand, one attempt at a time, anew when it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._errors import CacheUnavailableError, ConnectionLostError, ServerReplyError
from langcache_cli.caching._fork import call_in_child
from langcache_cli.caching._tasks import own_task
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.externals import Connect, Connection
from langcache_cli.caching._wire.failures import too_busy
from langcache_cli.caching._wire.idle_clock import IdleClock
from langcache_cli.caching._wire.lookup_batch import LookupBatch
from langcache_cli.caching._wire.outage_log import Outages
from langcache_cli.caching._wire.replies import answer, fail

T = TypeVar("T")

FIRST_LOOK_SECONDS = 1.0
LAST_LOOK_SECONDS = 30.0
"""The pause between two look-ups of a name that leads to a replica doubles from the first to the last."""


class Connector:
    """Holds the current connection, and makes the next one."""

    def __init__(
        self,
        address: RedisAddress,
        *,
        connect: Connect,
        clock: IdleClock,
        timeout: float,
        new_lookup_batch: Callable[[], LookupBatch],
        on_connect: Callable[[BatchedConnection], object] | None,
        on_failure: Callable[[Exception], object],
        outages: Outages | None = None,
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            address: The server.
            connect: Opens a connection.
            clock: Measures all times.
            timeout: Seconds that one attempt may take.
            new_lookup_batch: Makes a look-up batch without keys.
            on_connect: Called with each new connection before anything is sent over it.
            on_failure: Called with the error of an attempt for which a caller has stopped waiting, because
                its event loop was too busy.
            outages: Logs that the address leads to a replica; None logs nothing.
        """
        self.current: BatchedConnection | None = None
        """The latest connection; it may have ended."""
        self.made = 0
        """How many connections were made."""
        self._address = address
        self._open = connect
        self._clock = clock
        self._timeout = timeout
        self._new_lookup_batch = new_lookup_batch
        self._on_connect = on_connect
        self._on_failure = on_failure
        self._outages = outages
        self._attempt: asyncio.Task[BatchedConnection] | None = None
        self._given_up_on: asyncio.Task[BatchedConnection] | None = None
        """The attempt for which a caller has stopped waiting."""
        self._loop = asyncio.get_running_loop()
        call_in_child(self, "_give_up_attempt")
        self._look_timer: asyncio.TimerHandle | None = None

    @property
    def connecting(self) -> bool:
        """True while an attempt is under way."""
        return self._attempt is not None

    async def connected(self, deadline: float) -> BatchedConnection:
        """A new connection. Callers that need one at the same time share one attempt.

        Args:
            deadline: When to give up waiting, on the clock.

        Raises:
            OSError: No connection; `TimeoutError` at the deadline.
            CacheUnavailableError: The event loop is too busy to wait; the attempt goes on.
            ServerReplyError: The server refused it.
        """
        attempt = self._attempt or self._start(self._connect(), "langcache-connect")

        def give_up() -> CacheUnavailableError:
            self._given_up_on = attempt
            return too_busy(self._address)

        # Waits for a future, not for the task: a cancelled task would look like a cancelled caller.
        ended: asyncio.Future[None] = self._loop.create_future()
        attempt.add_done_callback(lambda _: answer(ended, None))
        await within(ended, self._clock, deadline, too_busy=give_up)
        if attempt.cancelled():
            given_up = ConnectionLostError("the attempt to connect was given up")
            given_up.counted = True  # says nothing about the server
            raise given_up
        return attempt.result()

    def probe(self, on_success: Callable[[], object]) -> None:
        """Connect in the background. Failures are ignored; the breaker schedules the next probe."""
        self._start(self._connect_and(on_success), "langcache-probe")

    def drop(self) -> None:
        """Drop the connection; the next caller makes a new one."""
        if self.current is not None:
            self.current.abort()

    def abandon(self) -> list[asyncio.Task[BatchedConnection]]:
        """Drop the connection for good. Works after the loop has closed, too.

        Returns:
            The attempt under way, which should be cancelled if the loop still runs.
        """
        self.drop()
        self.current = None
        if self._look_timer is not None:
            self._look_timer.cancel()
        return [self._attempt] if self._attempt is not None and not self._attempt.done() else []

    def _give_up_attempt(self) -> None:
        """In the child of a fork: the socket that is being connected is the parent's."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None and not self._loop.is_closed():
            attempt.cancel()

    def _start(
        self, work: Coroutine[Any, Any, BatchedConnection], name: str
    ) -> asyncio.Task[BatchedConnection]:
        attempt = own_task(self._loop, work, name=name)
        self._attempt = attempt
        attempt.add_done_callback(
            self._ended
        )  # a callback: a task cancelled before it began runs no `finally`
        return attempt

    def _ended(self, attempt: asyncio.Task[BatchedConnection]) -> None:
        if self._attempt is attempt:
            self._attempt = None
        given_up, self._given_up_on = self._given_up_on is attempt, None
        # looked at, that is marked as retrieved, in any case: all callers may have stopped waiting
        error = None if attempt.cancelled() else attempt.exception()
        if given_up and isinstance(error, OSError | ServerReplyError):
            self._on_failure(error)

    async def _connect(self) -> BatchedConnection:
        try:
            connection = await self._within_timeout(self._open(self._address))
        except UnicodeError as error:
            raise OSError(f"{self._address.host!r} is not a host name") from error
        self._attempt = None
        return self._adopt(connection)

    def _adopt(self, connection: Connection) -> BatchedConnection:
        self.drop()  # another attempt may have succeeded while the breaker opened
        batched = BatchedConnection(connection, self._new_lookup_batch)
        self.made += 1
        if self._outages is not None:
            self._outages.connected(batched.server, str(self._address))
        if self._on_connect is not None:
            self._on_connect(batched)
        self.current = batched
        self._look_for_primary(batched, FIRST_LOOK_SECONDS)
        return batched

    def _look_for_primary(self, current: BatchedConnection, pause: float) -> None:
        """Look the name up again after ``pause`` if it leads to a replica, as it may after a failover."""
        if current.server is not None and current.server.is_replica:
            look = partial(self._look, current, pause)
            self._look_timer = self._loop.call_later(pause, look)

    def _look(self, current: BatchedConnection, pause: float) -> None:
        if current is self.current and current.alive and self._attempt is None:
            self._start(self._leave_replica(current, pause), "langcache-look")

    async def _leave_replica(self, current: BatchedConnection, pause: float) -> BatchedConnection:
        """Connect anew, and change to another server if there is one behind the name."""
        try:
            connection = await self._within_timeout(self._open(self._address))
        except (OSError, UnicodeError, ServerReplyError):
            connection = None
        self._attempt = None
        if connection is not None and current is self.current and connection.server != current.server:
            return self._adopt(connection)
        if connection is not None:
            connection.abort()
        self._look_for_primary(current, min(2 * pause, LAST_LOOK_SECONDS))
        return current

    async def _connect_and(self, on_success: Callable[[], object]) -> BatchedConnection:
        connection = await self._connect()
        on_success()
        return connection

    async def _within_timeout(self, opening: Awaitable[Connection]) -> Connection:
        async with asyncio.timeout(None) as timeout:
            timer = self._clock.call_after(self._timeout, lambda: timeout.reschedule(self._loop.time()))
            try:
                return await opening
            finally:
                timer.cancel()


async def within(
    reply: asyncio.Future[T],
    clock: IdleClock,
    deadline: float,
    *,
    too_busy: Callable[[], Exception],
) -> T:
    """The result of a future; `TimeoutError` once ``clock`` shows ``deadline``.

    Args:
        reply: The future.
        clock: Measures the time.
        deadline: When to stop waiting.
        too_busy: The error to raise if the event loop is so busy that this takes much longer.
    """
    timer = clock.call_after(
        deadline - clock.time(),
        lambda: fail(reply, TimeoutError()),
        give_up=lambda: fail(reply, too_busy()),
    )
    try:
        return await reply
    finally:
        timer.cancel()
