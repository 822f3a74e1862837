"""A Redis or Valkey Cluster, used from one event loop: the same face as one server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from langcache_cli.caching._admission import Admission
from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._config.redis_target import RedisTarget
from langcache_cli.caching._deployment.cluster.cluster_node import ClusterNode
from langcache_cli.caching._deployment.cluster.exchange import Item, exchange, key_of, some_of
from langcache_cli.caching._deployment.cluster.layout import connect_owners, layout_of, share_of
from langcache_cli.caching._deployment.cluster.removals import removal_of, removals, removed
from langcache_cli.caching._deployment.cluster.router import Router
from langcache_cli.caching._deployment.cluster.slots import slot_of
from langcache_cli.caching._deployment.cluster.turn import KEYS_PER_TURN, Turn
from langcache_cli.caching._deployment.confirmation import Removal
from langcache_cli.caching._deployment.server import LOOKUPS_AT_ONCE, Command, Layout, Server, Share
from langcache_cli.caching._errors import CacheError, ServerReplyError
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._wire.batched_connection import ALONE_AFTER, BatchedConnection
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.connector import within
from langcache_cli.caching._wire.externals import Connect
from langcache_cli.caching._wire.failures import NOT_SERVING
from langcache_cli.caching._wire.handshake import connect
from langcache_cli.caching._wire.idle_clock import IdleClock
from langcache_cli.caching._wire.node import Node
from langcache_cli.caching._wire.outage_log import OutageLog


class Cluster(Server):
    """Sends look-ups and commands to the nodes that serve their keys; see `Server` for the methods."""

    is_cluster = True
    keys_per_script = 1
    """A script may take only keys of one slot, even if one node serves them all."""

    def __init__(
        self,
        target: RedisTarget,
        *,
        timeout: float,
        connect: Connect = connect,
        on_connect: Callable[[BatchedConnection], object] | None = None,
        on_moved: Callable[[frozenset[int]], object] = lambda _: None,
        outages: OutageLog | None = None,
    ) -> None:
        """Prepare; the first command connects.

        Args:
            target: Names some nodes.
            timeout: Seconds that a command may take when its caller passes no budget.
            connect: Opens a connection.
            on_connect: Called with each new connection to a node.
            on_moved: Called with the slots that have got another owner; with none when they become known.
            outages: Logs when a node is lost and back; None logs nothing.
        """
        super().__init__(str(target), timeout=timeout, clock=IdleClock())
        self._target = target
        self._loop = asyncio.get_running_loop()
        self._abandoned = False
        self._turn: Turn | None = None
        self._turns_under_way = 0
        self._turns_alone = 0
        """How many of the latest turns had one look-up each: then waiting for others gains nothing."""
        self.look_ups = Admission(
            KEYS_PER_TURN, KEYS_PER_TURN, has_room=lambda: self._turns_under_way < LOOKUPS_AT_ONCE
        )
        self.router = Router(
            target,
            timeout=timeout,
            clock=self.clock,
            connect=connect,
            on_connect=on_connect,
            on_moved=on_moved,
            outages=outages,
        )
        self.topology = self.router.topology

    # -- look-ups --

    @property
    def is_down(self) -> bool:
        """True while no node can be asked."""
        primaries = self.topology.primaries
        return bool(primaries) and all(node.node.breaker.open for node in primaries)

    @property
    def is_failing(self) -> bool:
        """See `Server`."""
        return any(node.node.breaker.failing for node in self.topology.primaries)

    def usable(self, key: str, /) -> bool:
        """False while the node of a key is known to be down."""
        node = self.topology.slots[slot_of(key)] if self.topology.slots else None
        return node is not None and not node.node.breaker.open

    def try_lookup(self, keys: KeyAndTags) -> asyncio.Future[Any] | None:
        """`lookup` as a bare future, within `timeout`; None if it cannot be sent now."""
        turn = self._turn
        if turn is not None and not turn.full:
            return turn.add(keys)
        if self._abandoned or not self.topology.slots:
            return None
        is_alone = self._turns_alone >= ALONE_AFTER and not self._turns_under_way
        turn = self._turn = self._new_turn()
        caller = turn.add(keys)
        if is_alone:
            turn.send()
        else:
            self._loop.call_soon(self._send, turn)
        return caller

    async def lookup(self, keys: KeyAndTags, *, budget: Budget | None = None) -> Any:
        """The value of one key, or the list of values of several; None for no value.

        Raises:
            CacheUnavailableError: No reply within the budget, or a node of them is down.
            ServerReplyError: A reply is an error.
        """
        budget = budget or Budget(self.timeout)
        if budget.left <= 0:
            raise self.unavailable("the time that the cache may add to this call is spent")
        deadline = self.clock.time() + budget.left
        try:
            await self.router.known(deadline)
            pending = self.try_lookup(keys)
            if pending is None:
                raise self.unavailable("the cache was closed")
            return await within(pending, self.clock, deadline, too_busy=self.too_busy)
        except TimeoutError as error:
            raise self.unavailable("Redis did not answer in time") from error
        finally:
            budget.left = deadline - self.clock.time()

    async def lookup_each(
        self, keys: Sequence[str], *, budget: Budget | None = None
    ) -> list[bytes | CacheError | None]:
        """See `Server`."""
        budget = budget or Budget(self.timeout)
        deadline = self.clock.time() + budget.left
        await self.router.known(deadline)
        turn = self._turn
        if turn is None or turn.full:
            turn = self._turn = self._new_turn()
            self._loop.call_soon(self._send, turn)
        each = turn.add_each(keys)
        late = self.unavailable("Redis did not answer in time")
        timer = self.clock.call_after(
            deadline - self.clock.time(), lambda: each.end(late), give_up=lambda: each.end(self.too_busy())
        )
        try:
            return some_of(await each.caller)
        finally:
            timer.cancel()
            budget.left = deadline - self.clock.time()

    # -- commands --

    async def call_many(self, commands: Sequence[Command], *, budget: Budget | None = None) -> list[Any]:
        """Send commands, each about one key; error replies are returned in their place.

        Raises:
            CacheUnavailableError: Not all replies came within the budget.
        """
        items = [Item(key_of(command), [command]) for command in commands]
        return [replies[0] for replies in await self._exchanged(items, budget)]

    async def call_each(self, commands: Sequence[Command], *, budget: Budget | None = None) -> list[Any]:
        """See `Server`."""
        items = [Item(key_of(command), [command]) for command in commands]
        await self._exchange(items, budget)
        silent = self.unavailable("Redis did not answer")
        replies = [one.reply[0] if isinstance(one.reply, list) else one.reply or silent for one in items]
        return some_of(replies)

    async def remove(self, keys: Sequence[str | bytes], *, budget: Budget | None = None) -> int:
        """Remove keys; returns how many there were.

        Raises:
            CacheUnavailableError: Not all were confirmed within the budget.
            ServerReplyError: A node refuses.
        """
        items = removals(keys)
        for replies in await self._exchanged(items, budget):
            for reply in replies:
                if isinstance(reply, ServerReplyError):
                    raise reply
        return sum(map(removed, items))

    async def removal(self, keys: Sequence[str], *, budget: Budget | None = None) -> Removal:
        """See `Server`. Keys of a node that is away are unreached, the others are removed."""
        items = removals(keys)
        await self._exchange(items, budget)
        return removal_of(keys, items, self.topology)

    def shares(self) -> Sequence[Share]:
        """See `Server`."""
        return self.topology.shares()

    def share_of(self, connection: BatchedConnection) -> Share | None:
        """See `Server`."""
        return share_of(self.topology, connection)

    def source_of(self, key: str, /) -> Hashable:
        """Which node serves a key, as far as is known."""
        return self.topology.slots[slot_of(key)] if self.topology.slots else None

    def address_of(self, key: str, /) -> RedisAddress:
        """See `Server`."""
        node = self.router.node_of_slot(slot_of(key))
        return node.node.address if isinstance(node, ClusterNode) else self._target.server

    async def nodes(self) -> Sequence[Node]:
        """The primaries.

        Raises:
            CacheUnavailableError: They cannot be found out.
        """
        await self.router.known(self.clock.time() + self.timeout)
        return [node.node for node in self.topology.primaries]

    async def layout(self, budget: Budget | None = None) -> Layout:
        """See `Server`."""
        return await layout_of(await self.nodes(), self.router.redirects, budget)

    async def connect(self, slots: int) -> None:
        """Connect to all nodes that have some of these slots.

        Raises:
            CacheUnavailableError: Not all can be used.
        """
        await self.router.known(self.clock.time() + self.timeout)
        await connect_owners(self.topology, slots)

    def raise_if_not_serving(self, replies: Sequence[Any]) -> None:
        """Each node has acted on its own replies."""
        for reply in replies:
            if isinstance(reply, ServerReplyError) and reply.code in NOT_SERVING:
                raise self.unavailable(str(reply)) from reply

    def abandon(self) -> Sequence[asyncio.Task[Any]]:
        """Drop all connections for good; see `Node.abandon`."""
        self._abandoned = True
        return self.router.close()

    # -- inside --

    def _new_turn(self) -> Turn:
        def ended() -> None:
            timer.cancel()
            self._turns_under_way -= 1

        self._turns_under_way += 1
        if self._turns_under_way >= LOOKUPS_AT_ONCE:
            self.look_ups.close()
        turn = Turn(self._loop, self.router, ended)
        timer = self.clock.call_after(
            self.timeout, turn.time_out, give_up=lambda: turn.give_up(self.too_busy())
        )
        return turn

    def _send(self, turn: Turn) -> None:
        self._turns_alone = self._turns_alone + 1 if turn.callers == 1 else 0
        turn.send()

    async def _exchanged(self, items: Sequence[Item], budget: Budget | None) -> list[list[Any]]:
        """The replies to items.

        Raises:
            CacheUnavailableError: Of the first item without.
        """
        await self._exchange(items, budget)
        replies: list[list[Any]] = []
        for item in items:
            if not isinstance(item.reply, list):
                raise item.reply or self.unavailable("Redis did not answer")
            replies.append(item.reply)
        return replies

    async def _exchange(self, items: Sequence[Item], budget: Budget | None) -> None:
        """Set the reply of each item.

        Raises:
            CacheUnavailableError: The slots are not known.
        """
        budget = budget or Budget(self.timeout)
        started = self.clock.time()
        await self.router.known(started + budget.left)
        budget.left -= self.clock.time() - started
        await exchange(items, self.router, budget)
