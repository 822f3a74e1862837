"""Redis as the cache sees it from one event loop: bounded in time, and left alone while it is down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from langcache_cli.caching._addresses import RedisAddress
from langcache_cli.caching._breaker import Breaker
from langcache_cli.caching._errors import (
    AuthenticationFailedError,
    CacheUnavailableError,
    ServerLoadingError,
    ServerReplyError,
)
from langcache_cli.caching._link import Argument, LinkLostError, connect, pack
from langcache_cli.caching._lookups import answer, fail
from langcache_cli.caching._loop_clock import Deadline, LoopClock
from langcache_cli.caching._scripts import script
from langcache_cli.caching._surroundings import Connect, Connection

_NOT_SERVING = frozenset({"LOADING", "MASTERDOWN", "WRONGPASS", "NOAUTH"})
"""Replies that mean: this server cannot be used now, whatever the command."""

READONLY_SECONDS = 1.0
"""How often to connect anew while the server refuses to write."""


class Budget:
    """The seconds that Redis may still cost one call, over all its operations.

    Those in which the event loop was busy with something else do not count.
    """

    __slots__ = ("left",)

    def __init__(self, seconds: float) -> None:
        self.left = seconds


class Server:
    """Sends commands over one shared connection, within a budget.

    An unavailable server costs a call at most its budget; after a few failures in a row calls fail
    at once, while a probe in the background, one at a time, finds out when the server is back.
    """

    def __init__(
        self,
        address: RedisAddress,
        *,
        timeout: float,
        connect: Connect = connect,
        on_connect: Callable[[], object] | None = None,
    ) -> None:
        """Remember where the server is; nothing is connected until the first call.

        Args:
            address: The server.
            timeout: Seconds that a call may take when it brings no budget of its own.
            connect: Opens a connection.
            on_connect: Called after each connection is made, before anything is sent over it.
        """
        self.address = address
        self._connect_to = connect
        self._on_connect = on_connect
        self.timeout = timeout
        self.breaker = Breaker()
        self._abandoned = False
        self._link: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._may_leave_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._clock = LoopClock()

    async def call(self, *command: Argument, budget: Budget | None = None) -> Any:
        """Send one command and return its reply.

        Raises:
            CacheUnavailableError: No reply within the budget, or the breaker is open.
            ServerReplyError: The reply is an error.
        """
        (reply,) = await self.call_many([command], budget=budget)
        if isinstance(reply, ServerReplyError):
            raise reply
        return reply

    async def run(self, name: str, key: str, *arguments: Argument, budget: Budget | None = None) -> Any:
        """Run the script ``name`` on one key; raises like `call`."""
        (reply,) = await self.run_many(name, [(key, *arguments)], budget=budget)
        if isinstance(reply, ServerReplyError):
            raise reply
        return reply

    async def run_many(
        self, name: str, calls: Sequence[tuple[str, *tuple[Argument, ...]]], *, budget: Budget | None = None
    ) -> list[Any]:
        """Run the script ``name`` once for each key and its arguments; otherwise like `call_many`."""
        lua = script(name)
        budget = budget or Budget(self.timeout)
        replies = await self.call_many([lua.by_digest(*call) for call in calls], budget=budget)
        unknown = [index for index, reply in enumerate(replies) if _is_noscript(reply)]
        if unknown:
            # the first by source makes the server know the digest that the others use
            again = [lua.by_digest(*calls[index]) for index in unknown]
            again[0] = lua.by_source(*calls[unknown[0]])
            for index, reply in zip(unknown, await self.call_many(again, budget=budget), strict=True):
                replies[index] = reply
        return replies

    @contextmanager
    def confirming(self) -> Iterator[None]:
        """Inside, an error reply is raised as `CacheUnavailableError`.

        Whoever asked for a change has one question: did it happen?
        """
        try:
            yield
        except ServerReplyError as error:
            raise CacheUnavailableError(f"Redis refused: {error}", target=str(self.address)) from error

    async def call_many(
        self, commands: Sequence[tuple[Argument, ...]], *, budget: Budget | None = None
    ) -> list[Any]:
        """Send commands in one go; error replies are returned in their place.

        Raises:
            CacheUnavailableError: Not all replies came within the budget, or the breaker is open.
        """
        requests = [pack(command) for command in commands]
        return await self._exchange(
            lambda connection: [connection.request(request) for request in requests], budget
        )

    async def lookup(self, keys: Sequence[str], *, budget: Budget | None = None) -> list[bytes | None]:
        """The values of ``keys``, None for nothing; together with all look-ups of this turn of the loop.

        Raises:
            CacheUnavailableError: No reply within the budget, or the breaker is open.
            ServerReplyError: The reply is an error.
        """
        (values,) = await self._exchange(lambda connection: [connection.lookup(keys)], budget)
        if isinstance(values, ServerReplyError):
            raise values
        found: list[bytes | None] = values
        return found

    async def _exchange(
        self, send: Callable[[Connection], list[asyncio.Future[Any]]], budget: Budget | None
    ) -> list[Any]:
        """The replies to what ``send`` sends, error replies included."""
        budget = budget or Budget(self.timeout)
        self._require_usable(budget)
        with self._clock as clock:
            ends = clock.time() + budget.left
            try:
                link = self._link
                if link is None or not link.alive:
                    link = await self._connected(ends)
                futures = send(link)
                await self._answered(futures[-1], ends)  # the others were answered before it
                replies = [future.result() for future in futures]
            except (OSError, ServerReplyError) as error:  # asyncio's TimeoutError is an OSError
                self._failed(error)
            finally:
                budget.left = ends - clock.time()
        for reply in replies:
            if isinstance(reply, ServerReplyError):
                self._heed(reply, link)
        self.breaker.succeeded()
        return replies

    def abandon(self) -> list[asyncio.Task[Connection]]:
        """Drop the connection for good; calls fail from now on. Works after the loop has closed, too.

        Returns:
            What is under way and should be cancelled if the loop still runs.
        """
        self._abandoned = True
        if self._link is not None:
            self._link.abort()
            self._link = None
        return [self._connecting] if self._connecting is not None else []

    def _require_usable(self, budget: Budget) -> None:
        problem = ""
        if self._abandoned:
            problem = "the cache was closed"
        elif self.breaker.open:
            self._probe_if_due()
            problem = "Redis is down; it is being probed"
        elif budget.left <= 0:
            problem = "the time that the cache may add to this call is spent"
        if problem:
            raise CacheUnavailableError(problem, target=str(self.address))

    async def _answered(self, reply: asyncio.Future[Any], ends: float) -> None:
        left = ends - self._clock.time()
        deadline = Deadline(self._clock, left, lambda: fail(reply, TimeoutError()))
        try:
            await reply
        finally:
            deadline.cancel()

    async def _connected(self, ends: float) -> Connection:
        """The link; callers that need one at the same time share one attempt to connect."""
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._connect(), name="langcache-connect")
            self._connecting.add_done_callback(_retrieve)
        connecting = self._connecting
        # not for the task itself: its cancellation would look like that of the caller
        ended: asyncio.Future[None] = self._loop.create_future()
        connecting.add_done_callback(lambda _: answer(ended, None))
        await self._answered(ended, ends)
        if connecting.cancelled():
            raise LinkLostError("the attempt to connect was given up")
        return connecting.result()

    async def _connect(self) -> Connection:
        try:
            link = await self._in_time(self._connect_to(self.address))
        except UnicodeError as error:
            raise OSError(f"{self.address.host!r} is not a host name") from error
        finally:
            self._connecting = None
        if self._link is not None:
            self._link.abort()  # one that was made while the breaker opened
        if self._on_connect is not None:
            self._on_connect()
        self._link = link
        return link

    async def _in_time(self, connecting: Awaitable[Connection]) -> Connection:
        with self._clock as clock:
            async with asyncio.timeout(None) as timeout:
                deadline = Deadline(clock, self.timeout, lambda: timeout.reschedule(self._loop.time()))
                try:
                    return await connecting
                finally:
                    deadline.cancel()

    def _heed(self, reply: ServerReplyError, link: Connection) -> None:
        """Draw the consequences of an error that is the server's, whatever the command."""
        if reply.code in _NOT_SERVING:
            self._failed(reply)
        now = self._loop.time()
        if reply.code == "READONLY" and now >= self._may_leave_at:
            # no primary any more: its name or address may stand for another server by now
            self._may_leave_at = now + READONLY_SECONDS
            link.abort()

    def _failed(self, error: BaseException) -> NoReturn:
        if self.breaker.failed(self._loop.time()) and self._link is not None:
            self._link.abort()  # what opened the breaker may be this connection alone: probe with a new one
        raise _unavailable(error, self.address) from error

    def _probe_if_due(self) -> None:
        if self._connecting is None and self.breaker.probe_due(self._loop.time()):
            self._connecting = self._loop.create_task(self._probe(), name="langcache-probe")
            self._connecting.add_done_callback(_retrieve)

    async def _probe(self) -> Connection:
        link = await self._connect()
        self.breaker.succeeded()
        return link


def _is_noscript(reply: Any) -> bool:
    return isinstance(reply, ServerReplyError) and reply.code == "NOSCRIPT"


def _retrieve(task: asyncio.Task[Connection]) -> None:
    """Look at a failure that all who waited for may have stopped waiting for."""
    if not task.cancelled():
        task.exception()


def _unavailable(error: BaseException, address: RedisAddress) -> CacheUnavailableError:
    target = str(address)
    code = error.code if isinstance(error, ServerReplyError) else ""
    if code in ("WRONGPASS", "NOAUTH") or (code == "ERR" and "AUTH" in str(error)):
        return AuthenticationFailedError("Redis refused the user or password", target=target)
    if code == "LOADING":
        return ServerLoadingError("Redis is loading its data", target=target)
    if isinstance(error, TimeoutError):
        return CacheUnavailableError("Redis did not answer in time", target=target)
    return CacheUnavailableError(f"Redis cannot be reached: {error}", target=target)
