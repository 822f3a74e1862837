"""Commands to one Redis server from one event loop: bounded in time, held back while the server is down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from langcache_cli.caching._admission import Admission
from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._errors import CacheUnavailableError, ConnectionLostError, ServerReplyError
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.breaker import Breaker
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.connection import Argument
from langcache_cli.caching._wire.connector import Connector, within
from langcache_cli.caching._wire.externals import Connect
from langcache_cli.caching._wire.failures import NOT_SERVING, PROTOCOL_ERROR, too_busy, unavailable
from langcache_cli.caching._wire.handshake import connect
from langcache_cli.caching._wire.idle_clock import IdleClock
from langcache_cli.caching._wire.lookup_batch import LookupBatch, no_lookups
from langcache_cli.caching._wire.outage_log import Outages

RECONNECT_SECONDS = 1.0
"""The shortest time between two new connections to a server that refuses writes."""


class Node:
    """Sends commands to one server over one shared connection.

    A server that does not answer costs a call at most its budget. After a few failures in a row calls fail at
    once, while a probe in the background, one at a time, finds out when the server is back.
    """

    def __init__(
        self,
        address: RedisAddress,
        *,
        timeout: float,
        connect: Connect = connect,
        on_connect: Callable[[BatchedConnection], object] | None = None,
        outages: Outages | None = None,
        new_lookup_batch: Callable[[], LookupBatch] = no_lookups,
        clock: IdleClock | None = None,
        on_recovery: Callable[[], object] | None = None,
    ) -> None:
        """Prepare; the first command connects.

        Args:
            address: The server.
            timeout: Seconds that a command may take when its caller passes no budget.
            connect: Opens a connection.
            on_connect: Called with each new connection before anything is sent over it.
            outages: Logs when the server is lost and back; None logs nothing.
            new_lookup_batch: Makes a look-up batch without keys.
            clock: Measures all times; None for a clock of its own.
            on_recovery: Called when a probe has got through, and decides whether to call `succeeded`; None
                uses the server again at once.
        """
        self._outages = outages
        self._on_recovery = on_recovery
        self.address = address
        self.timeout = timeout
        self.breaker = Breaker()
        self.after_connecting: Admission | None = None
        """Where calls line up that have waited for a new connection; None lets all go on in one turn."""
        self._too_busy = partial(too_busy, address)
        self._abandoned = False
        self._may_reconnect_at = 0.0
        self._loop = asyncio.get_running_loop()
        self.clock = clock or IdleClock()
        self.connector = Connector(
            address,
            connect=connect,
            clock=self.clock,
            timeout=timeout,
            new_lookup_batch=new_lookup_batch,
            on_connect=on_connect,
            on_failure=self.failed,
            outages=outages,
        )

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

    async def call_many(
        self, commands: Sequence[tuple[Argument, ...]], *, budget: Budget | None = None
    ) -> list[Any]:
        """Send commands in one write; error replies are returned in their place.

        Raises:
            CacheUnavailableError: Not all replies came within the budget, or the breaker is open.
        """
        if not commands:  # nothing would be answered
            return []
        replies: list[Any] = await self.exchange(
            lambda connection: connection.request(commands).future, budget
        )
        self.raise_if_not_serving(replies)
        self.succeeded()
        return replies

    async def connect(self) -> None:
        """Make sure that there is a connection.

        Raises:
            CacheUnavailableError: There is none within the budget, or the breaker is open.
        """

        def nothing(_: BatchedConnection) -> asyncio.Future[None]:
            done = self._loop.create_future()
            done.set_result(None)
            return done

        await self.exchange(nothing, None)

    def raise_if_not_serving(self, replies: Sequence[Any]) -> None:
        """Act on error replies that are about the server, not about the command.

        Raises:
            CacheUnavailableError: The server says that it cannot be used.
        """
        for reply in replies:
            if isinstance(reply, ServerReplyError) and (failure := self.act_on(reply)):
                raise failure from reply

    @property
    def connection(self) -> BatchedConnection | None:
        """The latest connection, if there is one; it may have ended."""
        return self.connector.current

    @property
    def connections_made(self) -> int:
        """How many connections there were so far, the latest included."""
        return self.connector.made

    def abandon(self) -> list[asyncio.Task[BatchedConnection]]:
        """Drop the connection for good; calls fail from now on. Works after the loop has closed, too.

        Returns:
            Tasks under way, which should be cancelled if the loop still runs.
        """
        self._abandoned = True
        return self.connector.abandon()

    async def exchange(
        self, send: Callable[[BatchedConnection], asyncio.Future[Any]], budget: Budget | None
    ) -> Any:
        """Send over a live connection and wait for the future that ``send`` returns, within the budget.

        Raises:
            CacheUnavailableError: No reply within the budget, or the breaker is open.
        """
        budget = budget or Budget(self.timeout)
        if (problem := self.unusable()) is not None:
            raise problem
        if budget.left <= 0:
            spent = "the time that the cache may add to this call is spent"
            raise CacheUnavailableError(spent, target=str(self.address))
        deadline = self.clock.time() + budget.left
        try:
            connection = self.connector.current
            if connection is None or not connection.alive:
                connection = await self._connected(deadline)
                left = deadline - self.clock.time()
                if self.after_connecting is not None:
                    await self.after_connecting.admitted()  # all that waited for the connection go on now
                deadline = self.clock.time() + left
            return await within(send(connection), self.clock, deadline, too_busy=self._too_busy)
        except OSError as error:  # includes TimeoutError
            raise self.failed(error) from error
        finally:
            budget.left = deadline - self.clock.time()

    def unusable(self) -> CacheUnavailableError | None:
        """Why no request may be sent now, and schedules a probe; None if one may."""
        if self._abandoned:
            return CacheUnavailableError("the cache was closed", target=str(self.address))
        if not self.breaker.open:
            return None
        self._probe_if_due()
        if self._outages is not None:
            self._outages.bypassed()
        return CacheUnavailableError("Redis is down; it is being probed", target=str(self.address))

    def drop(self) -> None:
        """Drop the connection; the next request makes a new one."""
        self.connector.drop()

    async def _connected(self, deadline: float) -> BatchedConnection:
        try:
            return await self.connector.connected(deadline)
        except ServerReplyError as error:
            raise self._lost(self.failed(error)) from error
        except OSError as error:
            if not isinstance(error, TimeoutError | ConnectionLostError):  # it says nothing of a slow one yet
                self._lost(unavailable(error, self.address))
            raise

    def _lost(self, reason: CacheUnavailableError) -> CacheUnavailableError:
        if self._outages is not None:
            self._outages.begin(reason)
        return reason

    def succeeded(self) -> None:
        """Note that the server has answered."""
        self.breaker.succeeded()
        if self._outages is not None and self._outages.lost:
            self._outages.end()

    def act_on(self, reply: ServerReplyError) -> CacheUnavailableError | None:
        """Count a server that is not serving as a failure; drop a connection that leads to no good server.

        That is one which the server closes, and one to a server that has become read-only.
        """
        if reply.code in NOT_SERVING:
            return self.failed(reply)
        if PROTOCOL_ERROR in reply.reply:
            self.connector.drop()  # the server is about to close it: the next request would be lost, too
            return None
        now = self._loop.time()
        if reply.code == "READONLY" and now >= self._may_reconnect_at:
            # no primary any more: its name or address may lead to another server by now
            self._may_reconnect_at = now + RECONNECT_SECONDS
            self.connector.drop()
        return None

    def failed(self, error: Exception) -> CacheUnavailableError:
        """Count a failure, once for each lost connection, and return the error to raise."""
        if isinstance(error, ConnectionLostError):
            known, error.counted = error.counted, True
            if known:
                return unavailable(error, self.address)
        if self.breaker.failed(self._loop.time()):
            # the fault may lie with this connection alone: probe over a new one
            self.connector.drop()
            self._lost(unavailable(error, self.address))
        return unavailable(error, self.address)

    def _probe_if_due(self) -> None:
        if not self.connector.connecting and self.breaker.probe_due(self._loop.time()):
            self.connector.probe(self._on_recovery or self.succeeded)
