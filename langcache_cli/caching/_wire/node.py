"""Redis as the cache sees it from one event loop: bounded in time, and left alone while it is down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._errors import CacheUnavailableError, ConnectionLostError, ServerReplyError
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._protocol.scripts import Column, runs, script
from langcache_cli.caching._wire.breaker import Breaker
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.connection import Argument, connect
from langcache_cli.caching._wire.connector import Connector, in_time
from langcache_cli.caching._wire.externals import Connect
from langcache_cli.caching._wire.failures import NOT_SERVING, unavailable
from langcache_cli.caching._wire.idle_clock import IdleClock
from langcache_cli.caching._wire.lookup_batch import LookupBatch
from langcache_cli.caching._wire.replies import is_reply_to_mget
from langcache_cli.caching._wire.write_batch import BatchedConnection

READONLY_SECONDS = 1.0
"""How often to connect anew while the server refuses to write."""


class Node:
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
        on_connect: Callable[[BatchedConnection], object] | None = None,
    ) -> None:
        """Remember where the server is; nothing is connected until the first call.

        Args:
            address: The server.
            timeout: Seconds that a call may take when it brings no budget of its own.
            connect: Opens a connection.
            on_connect: Given each new connection, before anything is sent over it.
        """
        self.address = address
        self.timeout = timeout
        self.breaker = Breaker()
        self._abandoned = False
        self._may_leave_at = 0.0
        self._loop = asyncio.get_running_loop()
        self.clock = IdleClock()
        self._connector = Connector(
            address,
            connect=connect,
            clock=self.clock,
            timeout=timeout,
            open_lookup=self._open_lookup,
            on_connect=on_connect,
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

    async def run(self, name: str, key: str, *arguments: Argument, budget: Budget | None = None) -> Any:
        """Run the script ``name`` on one key; raises like `call`."""
        columns = [(argument,) for argument in arguments]
        (reply,) = await self.run_many(name, (key,), *columns, budget=budget)
        if isinstance(reply, ServerReplyError):
            raise reply
        return reply

    async def run_many(
        self, name: str, keys: Sequence[str], *columns: Column, budget: Budget | None = None
    ) -> list[Any]:
        """Run the script ``name`` on many keys; error replies are returned in their place.

        Args:
            name: The file, without its ending.
            keys: The keys.
            columns: What else the script is given: each says one thing about every key.
            budget: What this may cost.

        Raises:
            CacheUnavailableError: Not all replies came within the budget, or the breaker is open.
        """
        lua, budget = script(name), budget or Budget(self.timeout)
        portions = list(runs(keys, columns))
        replies = await self.call_many(list(map(lua.by_digest, portions)), budget=budget)
        unknown = [index for index, reply in enumerate(replies) if _is_noscript(reply)]
        if unknown:
            # the first by source makes the server know the digest that the others use
            again = [lua.by_digest(portions[index]) for index in unknown]
            again[0] = lua.by_source(portions[unknown[0]])
            for index, reply in zip(unknown, await self.call_many(again, budget=budget), strict=True):
                replies[index] = reply
        results: list[Any] = []
        for portion, reply in zip(portions, replies, strict=True):
            results += reply if isinstance(reply, list) else [reply] * portion.n_keys
        self._heed_all(results)
        return results

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
        replies: list[Any] = await self._exchange(lambda out: out.request(commands).future, budget)
        self._heed_all(replies)
        self.breaker.succeeded()
        return replies

    async def lookup(self, names: KeyAndTags, *, budget: Budget | None = None) -> Any:
        """The value of one key, or a list of those of several; None for nothing.

        Raises:
            CacheUnavailableError: No reply within the budget, or the breaker is open.
            ServerReplyError: The reply is an error.
        """
        return await self._exchange(lambda out: out.lookup(names), budget)

    def try_lookup(self, names: KeyAndTags) -> asyncio.Future[Any] | None:
        """`lookup` within the server's own time, without a step of its own; None when that takes more."""
        out = self._connector.out
        if out is None:
            return None
        if (filling := out.filling) is not None and not filling.full:
            return filling.add(names)
        if self.breaker.open or not out.link.alive:
            return None
        return out.lookup(names)

    @property
    def out(self) -> BatchedConnection | None:
        """The connection, if there is one; it may have ended."""
        return self._connector.out

    def time_left(self, since: float) -> float:
        """How many seconds the server has left for a call that began when `clock` showed ``since``."""
        return self.timeout - (self.clock.time() - since)

    async def _exchange(
        self, send: Callable[[BatchedConnection], asyncio.Future[Any]], budget: Budget | None
    ) -> Any:
        """What the future that ``send`` makes is given, in time."""
        budget = budget or Budget(self.timeout)
        self._require_usable(budget)
        ends = self.clock.time() + budget.left
        try:
            out = self._connector.out
            if out is None or not out.link.alive:
                out = await self._connected(ends)
            return await in_time(send(out), self.clock, ends)
        except OSError as error:  # asyncio's TimeoutError is one
            raise self._failure(error) from error
        finally:
            budget.left = ends - self.clock.time()

    def _open_lookup(self) -> LookupBatch:
        """A look-up that ends when the server's time for it does: its callers need no timers of their own."""

        def settle(reply: Any) -> list[bytes | None] | Exception:
            timer.cancel()
            if is_reply_to_mget(reply, lookup.count):
                self.breaker.succeeded()
                found: list[bytes | None] = reply
                return found
            if isinstance(reply, ServerReplyError):
                return self._heed(reply) or reply
            if not isinstance(reply, OSError):
                self._connector.cut()
                reply = OSError("the reply is not one to MGET")
            return self._failure(reply)

        lookup = LookupBatch(self._loop, settle)
        timer = self.clock.call_after(self.timeout, partial(lookup.receive, TimeoutError()))
        return lookup

    def abandon(self) -> list[asyncio.Task[BatchedConnection]]:
        """Drop the connection for good; calls fail from now on. Works after the loop has closed, too.

        Returns:
            What is under way and should be cancelled if the loop still runs.
        """
        self._abandoned = True
        return self._connector.abandon()

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

    async def _connected(self, ends: float) -> BatchedConnection:
        try:
            return await self._connector.connected(ends)
        except ServerReplyError as error:
            raise self._failure(error) from error

    def _heed_all(self, replies: Sequence[Any]) -> None:
        for reply in replies:
            if isinstance(reply, ServerReplyError) and (failure := self._heed(reply)):
                raise failure from reply

    def _heed(self, reply: ServerReplyError) -> CacheUnavailableError | None:
        """Draw the consequences of an error that is the server's, whatever the command."""
        if reply.code in NOT_SERVING:
            return self._failure(reply)
        now = self._loop.time()
        if reply.code == "READONLY" and now >= self._may_leave_at:
            # no primary any more: its name or address may stand for another server by now
            self._may_leave_at = now + READONLY_SECONDS
            self._connector.cut()
        return None

    def _failure(self, error: Exception) -> CacheUnavailableError:
        """Count a failure, and say what it means."""
        if isinstance(error, ConnectionLostError):
            known, error.counted = error.counted, True
            if known:
                return unavailable(error, self.address)
        if self.breaker.failed(self._loop.time()):
            # what opened the breaker may be this connection alone: probe with a new one
            self._connector.cut()
        return unavailable(error, self.address)

    def _probe_if_due(self) -> None:
        if not self._connector.busy and self.breaker.probe_due(self._loop.time()):
            self._connector.connect_soon(self.breaker.succeeded)


def _is_noscript(reply: Any) -> bool:
    return isinstance(reply, ServerReplyError) and reply.code == "NOSCRIPT"
