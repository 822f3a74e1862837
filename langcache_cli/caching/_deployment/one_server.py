"""One Redis server, used from one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

from langcache_cli.caching._admission import Admission
from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._deployment.cluster.slots import ALL_SLOTS
from langcache_cli.caching._deployment.confirmation import Confirmation, Removal
from langcache_cli.caching._deployment.server import LOOKUPS_AT_ONCE, Command, Server, Share
from langcache_cli.caching._errors import CacheError, ServerReplyError
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.externals import Connect
from langcache_cli.caching._wire.handshake import connect
from langcache_cli.caching._wire.lookup_batch import KEYS_PER_LOOKUP, LookupBatch
from langcache_cli.caching._wire.node import Node
from langcache_cli.caching._wire.outage_log import OutageLog
from langcache_cli.caching._wire.replies import is_mget_reply

_connect_to_address = connect

KEYS_PER_SCRIPT = 100
"""A run of so many keys takes the server about half a millisecond, in which it serves no other client."""


class OneServer(Server):
    """A `Node`, and the look-ups of many callers together, each turn in one MGET."""

    keys_per_script = KEYS_PER_SCRIPT

    def __init__(
        self,
        address: RedisAddress,
        *,
        timeout: float,
        connect: Connect = connect,
        on_connect: Callable[[BatchedConnection], object] | None = None,
        outages: OutageLog | None = None,
    ) -> None:
        """Prepare; the first command connects. See `Node` for the arguments."""
        self.node = Node(
            address,
            timeout=timeout,
            connect=connect,
            on_connect=on_connect,
            outages=outages,
            new_lookup_batch=self._new_lookup_batch,
        )
        super().__init__(str(address), timeout=timeout, clock=self.node.clock)
        self.is_plain = connect is _connect_to_address
        """True if its address is that of the server itself: not found by sentinels, nor in memory."""
        self._loop = asyncio.get_running_loop()
        self._batches_under_way = 0
        self.look_ups = Admission(
            KEYS_PER_LOOKUP, KEYS_PER_LOOKUP, has_room=lambda: self._batches_under_way < LOOKUPS_AT_ONCE
        )
        self.node.after_connecting = self.look_ups
        self._breaker = self.node.breaker
        self._connector = self.node.connector

    @property
    def is_down(self) -> bool:
        """See `Server`."""
        return self._breaker.open

    @property
    def is_failing(self) -> bool:
        """See `Server`."""
        return self._breaker.failing

    def usable(self, _: str, /) -> bool:
        """See `Server`."""
        return not self._breaker.open

    def try_lookup(self, keys: KeyAndTags) -> asyncio.Future[Any] | None:
        """See `Server`."""
        connection = self._connector.current
        if connection is None:
            return None
        if (batch := connection.open_batch) is not None and not batch.full:
            return batch.add(keys)
        if self._breaker.open or not connection.alive:
            return None
        return connection.lookup(keys)

    async def lookup(self, keys: KeyAndTags, *, budget: Budget | None = None) -> Any:
        """See `Server`."""
        return await self.node.exchange(lambda connection: connection.lookup(keys), budget)

    async def lookup_each(
        self, keys: Sequence[str], *, budget: Budget | None = None
    ) -> list[bytes | CacheError | None]:
        """See `Server`."""
        found = await self.lookup(tuple(keys), budget=budget)
        return found if len(keys) > 1 else [found]

    async def call_many(self, commands: Sequence[Command], *, budget: Budget | None = None) -> list[Any]:
        """See `Server`."""
        return await self.node.call_many(commands, budget=budget)

    async def remove(self, keys: Sequence[str | bytes], *, budget: Budget | None = None) -> int:
        """See `Server`."""
        removed: int = await self.node.call("UNLINK", *keys, budget=budget)
        return removed

    async def removal(self, keys: Sequence[str], *, budget: Budget | None = None) -> Removal:
        """See `Server`."""
        confirmation = Confirmation(self.node)
        removed = await self.remove(keys, budget=budget)
        return Removal(removed, [(keys, confirmation.server())])

    def shares(self) -> Sequence[Share]:
        """See `Server`."""
        return [Share(self.node, ALL_SLOTS)]

    def share_of(self, _: BatchedConnection, /) -> Share:
        """See `Server`."""
        return Share(self.node, ALL_SLOTS)

    async def nodes(self) -> Sequence[Node]:
        """See `Server`."""
        return [self.node]

    async def connect(self, _: int, /) -> None:
        """See `Server`."""
        await self.node.connect()

    def source_of(self, _: str, /) -> Hashable:
        """See `Server`."""
        return self.node

    def address_of(self, _: str, /) -> RedisAddress:
        """See `Server`."""
        return self.node.address

    def raise_if_not_serving(self, replies: Sequence[Any]) -> None:
        """See `Server`."""
        self.node.raise_if_not_serving(replies)

    def abandon(self) -> Sequence[asyncio.Task[Any]]:
        """See `Server`."""
        return self.node.abandon()

    def _new_lookup_batch(self) -> LookupBatch:
        """A batch with one timer for all its callers."""
        node = self.node

        def settle(reply: Any) -> list[bytes | None] | Exception:
            timer.cancel()
            self._batches_under_way -= 1
            if is_mget_reply(reply, batch.count):
                node.succeeded()
                found: list[bytes | None] = reply
                return found
            if isinstance(reply, ServerReplyError):
                return node.act_on(reply) or reply
            if not isinstance(reply, OSError):
                node.drop()
                reply = OSError("the reply is not one to MGET")
            return node.failed(reply)

        self._batches_under_way += 1
        if self._batches_under_way >= LOOKUPS_AT_ONCE:
            self.look_ups.close()
        batch = LookupBatch(self._loop, settle)
        timer = self.clock.call_after(
            self.timeout,
            partial(batch.receive, TimeoutError()),
            give_up=lambda: batch.give_up(self.too_busy()),
        )
        return batch
