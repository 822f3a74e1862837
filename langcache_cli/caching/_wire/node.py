"""Commands to one Redis server from one event loop: bounded in time, held back while the server is down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from langcache_cli.caching._admission import Admission
from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._errors import CacheUnavailableError, ConnectionLostError, ServerReplyError
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.breaker import Breaker
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.connection import Argument
from langcache_cli.caching._wire.connector import Connector, within
from langcache_cli.caching._wire.externals import Connect
from langcache_cli.caching._wire.failures import NOT_SERVING, too_busy, unavailable
from langcache_cli.caching._wire.handshake import connect
from langcache_cli.caching._wire.idle_clock import IdleClock
from langcache_cli.caching._wire.lookup_batch import KEYS_PER_LOOKUP, LookupBatch
from langcache_cli.caching._wire.outage_log import OutageLog
from langcache_cli.caching._wire.replies import is_mget_reply

LOOKUPS_AT_ONCE = 4
"""So many batches of look-ups may be under way before further calls wait in line: the replies to more could
all come in one turn of the event loop, and keep it busy for too long."""

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
        outages: OutageLog | None = None,
    ) -> None:
        """Prepare; the first command connects.

        Args:
            address: The server.
            timeout: Seconds that a command may take when its caller passes no budget.
            connect: Opens a connection.
            on_connect: Called with each new connection before anything is sent over it.
            outages: Logs when the server is lost and back; None logs nothing.
        """
        self._outages = outages
        self.address = address
        self.timeout = timeout
        self.breaker = Breaker()
        self._too_busy = partial(too_busy, address)
        self._abandoned = False
        self._may_reconnect_at = 0.0
        self._loop = asyncio.get_running_loop()
        self.clock = IdleClock()
        self._batches_under_way = 0
        self.look_ups = Admission(
            KEYS_PER_LOOKUP, KEYS_PER_LOOKUP, has_room=lambda: self._batches_under_way < LOOKUPS_AT_ONCE
        )
        """The line of calls that come while too many look-ups are under way; see `try_lookup`."""
        self._connector = Connector(
            address,
            connect=connect,
            clock=self.clock,
            timeout=timeout,
            new_lookup_batch=self._new_lookup_batch,
            on_connect=on_connect,
            on_failure=self._failure,
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
        replies: list[Any] = await self._exchange(
            lambda connection: connection.request(commands).future, budget
        )
        self.raise_if_not_serving(replies)
        self._succeeded()
        return replies

    async def lookup(self, keys: KeyAndTags, *, budget: Budget | None = None) -> Any:
        """The value of one key, or the list of values of several; None for no value.

        Raises:
            CacheUnavailableError: No reply within the budget, or the breaker is open.
            ServerReplyError: The reply is an error.
        """
        return await self._exchange(lambda connection: connection.lookup(keys), budget)

    async def connect(self) -> None:
        """Make sure that there is a connection.

        Raises:
            CacheUnavailableError: There is none within the budget, or the breaker is open.
        """

        def nothing(_: BatchedConnection) -> asyncio.Future[None]:
            done = self._loop.create_future()
            done.set_result(None)
            return done

        await self._exchange(nothing, None)

    def try_lookup(self, keys: KeyAndTags) -> asyncio.Future[Any] | None:
        """`lookup` as a bare future, within `timeout`; None if it cannot be sent now.

        The caller must have waited in the line of `look_ups`, if that is crowded.
        """
        connection = self._connector.current
        if connection is None:
            return None
        if (batch := connection.open_batch) is not None and not batch.full:
            return batch.add(keys)
        if self.breaker.open or not connection.alive:
            return None
        return connection.lookup(keys)

    def raise_if_not_serving(self, replies: Sequence[Any]) -> None:
        """Act on error replies that are about the server, not about the command.

        Raises:
            CacheUnavailableError: The server says that it cannot be used.
        """
        for reply in replies:
            if isinstance(reply, ServerReplyError) and (failure := self._act_on(reply)):
                raise failure from reply

    @contextmanager
    def errors_as_unavailable(self) -> Iterator[None]:
        """Inside, an error reply is raised as `CacheUnavailableError`: the change was not made."""
        try:
            yield
        except ServerReplyError as error:
            raise CacheUnavailableError(f"Redis refused: {error}", target=str(self.address)) from error

    @property
    def connection(self) -> BatchedConnection | None:
        """The latest connection, if there is one; it may have ended."""
        return self._connector.current

    @property
    def connections_made(self) -> int:
        """How many connections there were so far, the latest included."""
        return self._connector.made

    def time_left(self, started: float) -> float:
        """Seconds of `timeout` left for a call that began when `clock` showed ``started``."""
        return self.timeout - (self.clock.time() - started)

    def abandon(self) -> list[asyncio.Task[BatchedConnection]]:
        """Drop the connection for good; calls fail from now on. Works after the loop has closed, too.

        Returns:
            Tasks under way, which should be cancelled if the loop still runs.
        """
        self._abandoned = True
        return self._connector.abandon()

    async def _exchange(
        self, send: Callable[[BatchedConnection], asyncio.Future[Any]], budget: Budget | None
    ) -> Any:
        """Send over a live connection and wait for the future that ``send`` returns, within the budget."""
        budget = budget or Budget(self.timeout)
        self._require_usable(budget)
        deadline = self.clock.time() + budget.left
        try:
            connection = self._connector.current
            if connection is None or not connection.alive:
                connection = await self._connected(deadline)
                left = deadline - self.clock.time()
                await self.look_ups.admitted()  # all that waited for the connection go on now
                deadline = self.clock.time() + left
            return await within(send(connection), self.clock, deadline, too_busy=self._too_busy)
        except OSError as error:  # includes TimeoutError
            raise self._failure(error) from error
        finally:
            budget.left = deadline - self.clock.time()

    def _new_lookup_batch(self) -> LookupBatch:
        """A batch with one timer for all its callers."""

        def settle(reply: Any) -> list[bytes | None] | Exception:
            timer.cancel()
            self._batches_under_way -= 1
            if is_mget_reply(reply, batch.count):
                self._succeeded()
                found: list[bytes | None] = reply
                return found
            if isinstance(reply, ServerReplyError):
                return self._act_on(reply) or reply
            if not isinstance(reply, OSError):
                self._connector.drop()
                reply = OSError("the reply is not one to MGET")
            return self._failure(reply)

        self._batches_under_way += 1
        if self._batches_under_way >= LOOKUPS_AT_ONCE:
            self.look_ups.close()
        batch = LookupBatch(self._loop, settle)
        timer = self.clock.call_after(
            self.timeout,
            partial(batch.receive, TimeoutError()),
            give_up=lambda: batch.give_up(self._too_busy()),
        )
        return batch

    def _require_usable(self, budget: Budget) -> None:
        problem = ""
        if self._abandoned:
            problem = "the cache was closed"
        elif self.breaker.open:
            self._probe_if_due()
            if self._outages is not None:
                self._outages.bypassed()
            problem = "Redis is down; it is being probed"
        elif budget.left <= 0:
            problem = "the time that the cache may add to this call is spent"
        if problem:
            raise CacheUnavailableError(problem, target=str(self.address))

    async def _connected(self, deadline: float) -> BatchedConnection:
        try:
            return await self._connector.connected(deadline)
        except ServerReplyError as error:
            raise self._lost(self._failure(error)) from error
        except OSError as error:
            if not isinstance(error, TimeoutError | ConnectionLostError):  # it says nothing of a slow one yet
                self._lost(unavailable(error, self.address))
            raise

    def _lost(self, reason: CacheUnavailableError) -> CacheUnavailableError:
        if self._outages is not None:
            self._outages.begin(reason)
        return reason

    def _succeeded(self) -> None:
        self.breaker.succeeded()
        if self._outages is not None and self._outages.lost:
            self._outages.end()

    def _act_on(self, reply: ServerReplyError) -> CacheUnavailableError | None:
        """Count a server that is not serving as a failure; reconnect to one that has become read-only."""
        if reply.code in NOT_SERVING:
            return self._failure(reply)
        now = self._loop.time()
        if reply.code == "READONLY" and now >= self._may_reconnect_at:
            # no primary any more: its name or address may lead to another server by now
            self._may_reconnect_at = now + RECONNECT_SECONDS
            self._connector.drop()
        return None

    def _failure(self, error: Exception) -> CacheUnavailableError:
        """Count a failure, once for each lost connection, and return the error to raise."""
        if isinstance(error, ConnectionLostError):
            known, error.counted = error.counted, True
            if known:
                return unavailable(error, self.address)
        if self.breaker.failed(self._loop.time()):
            # the fault may lie with this connection alone: probe over a new one
            self._connector.drop()
            self._lost(unavailable(error, self.address))
        return unavailable(error, self.address)

    def _probe_if_due(self) -> None:
        if not self._connector.connecting and self.breaker.probe_due(self._loop.time()):
            self._connector.probe(self._succeeded)
