"""Which node has which slots: asked of the nodes at first use, and when something contradicts it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, NamedTuple

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._config.redis_target import RedisTarget
from langcache_cli.caching._deployment.cluster.cluster_node import ClusterNode
from langcache_cli.caching._deployment.cluster.slots import SLOTS, SlotMap, bits_of
from langcache_cli.caching._deployment.server import Share
from langcache_cli.caching._errors import CacheError, CacheUnavailableError, ServerReplyError
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.connection import ask
from langcache_cli.caching._wire.externals import Connect
from langcache_cli.caching._wire.idle_clock import IdleClock
from langcache_cli.caching._wire.node import Node
from langcache_cli.caching._wire.replies import answer
from langcache_cli.caching._wire.server_identity import fields_of

FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 1.0
"""The pause between two refreshes doubles from the first to the last while nothing changes."""

RETIRE_SECONDS = 1.0
"""A node that has no slots any more keeps its connection for so long: requests may be under way."""

SHARE = 3
"""A node may take so small a part of the time for a command: one that hangs must leave time for another."""

QUESTIONS = (("CLUSTER", "SLOTS"), ("CLUSTER", "INFO"))


class _Told(NamedTuple):
    """What a node says of the cluster."""

    is_ok: bool
    """Whether it says that all is well."""
    epoch: int
    slots: SlotMap


class Topology:
    """The slots of a cluster and the nodes that serve them, for one event loop."""

    def __init__(
        self,
        target: RedisTarget,
        *,
        new_node: Callable[[RedisAddress, str], ClusterNode],
        connect: Connect,
        timeout: float,
        clock: IdleClock,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        on_moved: Callable[[frozenset[int]], object],
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            target: Names some nodes.
            new_node: Makes the node at an address, with its name in the cluster.
            connect: Opens a connection for one question.
            timeout: Seconds for one question.
            clock: Measures how long callers wait.
            spawn: Runs a refresh in the background.
            on_moved: Called with the slots that have got another owner; with none when they become known.
        """
        self.slots: list[ClusterNode | None] = []
        """The node of each slot; empty until the first refresh."""
        self.primaries: list[ClusterNode] = []
        """The nodes that serve slots."""
        self._shares: list[Share] | None = None
        self.problem: CacheError | None = None
        """Why the latest refresh has learned nothing; None if it has."""
        self.epoch = -1
        """Of the configuration in use, as the node that told it says."""
        self.on_handover: Callable[[Iterable[ClusterNode | None]], object] = lambda _: None
        """Called with nodes between which slots have changed hands, or are about to; None is no node."""
        self._target = target
        self._new_node = new_node
        self._connect = connect
        self._timeout = timeout
        self._clock = clock
        self._spawn = spawn
        self._on_moved = on_moved
        self._loop = asyncio.get_running_loop()
        self._nodes: dict[tuple[str, int], ClusterNode] = {}
        self._retired: dict[ClusterNode, asyncio.TimerHandle] = {}
        """Those that may have requests under way, and the timer that drops their connections."""
        self._refresh: asyncio.Task[None] | None = None
        self._refreshed_at = float("-inf")
        self._pause = FIRST_PAUSE_SECONDS
        self._closed = False

    @property
    def nodes(self) -> list[ClusterNode]:
        """All that are known, seeds included."""
        return list(self._nodes.values())

    def shares(self) -> list[Share]:
        """The slots of each node; empty until they are known. Computed once for each map."""
        if self._shares is None:
            of_node: dict[Node, list[int]] = {}
            for slot, node in enumerate(self.slots):
                if node is not None:
                    of_node.setdefault(node.node, []).append(slot)
            self._shares = [Share(node, bits_of(own)) for node, own in of_node.items()]
        return self._shares

    async def known(self, deadline: float) -> None:
        """Return when the slots are known.

        Args:
            deadline: When to give up, on the clock.

        Raises:
            CacheError: They are not; `problem` if that is why.
            TimeoutError: Not in time.
        """
        if self.slots:
            return
        self.refresh_soon()
        if self._refresh is not None:
            ended: asyncio.Future[None] = self._loop.create_future()
            self._refresh.add_done_callback(lambda _: answer(ended, None))
            timer = self._clock.call_after(deadline - self._clock.time(), lambda: answer(ended, None))
            try:
                await ended
            finally:
                timer.cancel()
        if not self.slots:
            raise self.problem or TimeoutError()

    def refresh_soon(self, avoid: ClusterNode | None = None) -> None:
        """Ask for the slots in the background, unless that is under way.

        Args:
            avoid: The node that something is wrong with: another one is asked, if there is one.
        """
        if self._refresh is None and not self._closed:
            self._refresh = self._spawn(self._refresh_after_pause(avoid))
            self._refresh.add_done_callback(self._refresh_ended)

    def node_at(self, host: str, port: int, node_id: str = "") -> ClusterNode:
        """The node at an address."""
        node = self._nodes.get((host, port))
        if node is None:
            address = self._target.at(host, port)
            node = self._nodes[host, port] = self._new_node(address, node_id)
        if node_id:
            node.node_id = node_id
        return node

    def patch(self, slot: int, node: ClusterNode) -> None:
        """A node has said that another has the slot."""
        if self.slots and self.slots[slot] is not node:
            before, self.slots[slot] = self.slots[slot], node
            self.on_handover((before, node))
            if node not in self.primaries:
                self.primaries.append(node)
            self._shares = None
            self._on_moved(frozenset([slot]))

    def close(self) -> list[ClusterNode]:
        """Ask nothing any more; returns the nodes, to be abandoned."""
        self._closed, self._shares = True, None
        for timer in self._retired.values():
            timer.cancel()
        retired, self._retired = list(self._retired), {}
        nodes, self._nodes, self.slots, self.primaries = self.nodes, {}, [], []
        return [*nodes, *retired]

    def _refresh_ended(self, _: object) -> None:
        self._refresh = None

    async def _refresh_after_pause(self, avoid: ClusterNode | None) -> None:
        pause = self._refreshed_at + self._pause * random.uniform(0.5, 1.5) - self._loop.time()  # noqa: S311 - only spreads
        if pause > 0:
            await asyncio.sleep(pause)
        self._refreshed_at = self._loop.time()
        changed = await self._ask_for_slots(avoid)
        self._pause = FIRST_PAUSE_SECONDS if changed else min(2 * self._pause, LAST_PAUSE_SECONDS)

    async def _ask_for_slots(self, avoid: ClusterNode | None) -> bool:
        """Ask for the slots now; True if that has changed the map.

        A node that knows an older configuration is believed only if no other answers. One that says that the
        cluster is down, only if what it knows is newer than the map in use: the views of such nodes differ.
        """
        last_resort: _Told | None = None
        for node in self._in_order(avoid):
            try:
                told = await self._ask(node)
            except CacheError as error:
                self.problem = error
                continue
            if told is None:
                continue
            if told.is_ok and told.epoch >= self.epoch and node is not avoid:
                return self._apply(told)
            if last_resort is None or told[:2] > last_resort[:2]:
                last_resort = told
        if last_resort is None or not (last_resort.is_ok or last_resort.epoch > self.epoch or not self.slots):
            return False
        return self._apply(last_resort)

    async def is_confirmed(self, node: ClusterNode) -> bool:
        """True if another node says that ``node`` has slots: one that was stopped does not know by itself.

        The others are asked over connections of their own, as they may be held back like ``node``.
        """
        others = [other for other in self.nodes if other is not node]
        for other in sorted(others, key=lambda one: not one.is_connected):
            try:
                async with asyncio.timeout(self._timeout):
                    connection = await self._connect(other.node.address)
                    try:
                        told = self._told(other, await ask(connection, QUESTIONS))
                    finally:
                        connection.abort()
            except (OSError, CacheError):  # a time-out is an OSError
                continue
            if told is not None and told.is_ok and told.epoch >= self.epoch:
                self._apply(told)
                return node in self.primaries
        return not others

    def _in_order(self, avoid: ClusterNode | None) -> Iterable[ClusterNode]:
        """Whom to ask: connected ones first, seeds when none of the known ones has answered."""
        known = self.nodes
        random.shuffle(known)
        known.sort(key=lambda node: (node is avoid, not node.is_connected))
        yield from known
        for host, port in self._target.hosts:
            node = self.node_at(host, port)
            if node not in known:
                yield node

    async def _ask(self, node: ClusterNode) -> _Told | None:
        """What a node says; None if it names no slots.

        Raises:
            CacheError: It did not answer, or is no node of a cluster.
        """
        return self._told(node, await node.node.call_many(QUESTIONS, budget=Budget(self._timeout / SHARE)))

    def _told(self, node: ClusterNode, replies: Sequence[Any]) -> _Told | None:
        slots, info = replies
        for reply in (slots, info):
            if isinstance(reply, ServerReplyError):
                raise reply
        fields = fields_of(info)
        named = SlotMap.parse(slots, node.node.address.host)
        if not named.primaries:
            self.problem = CacheUnavailableError("no node of the cluster has slots", target=str(node))
            return None
        is_ok = fields.get("cluster_state") == "ok"
        return _Told(is_ok, int(fields.get("cluster_current_epoch", 0)), named)

    def _apply(self, told: _Told) -> bool:
        """Use a map; True if it is not the one in use."""
        self.problem = self._shares = None
        self.epoch = told.epoch
        nodes = {name: self.node_at(name.host, name.port, name.node_id) for name in told.slots.primaries}
        slots: list[ClusterNode | None] = [
            None if (name := told.slots.owner(slot)) is None else nodes[name] for slot in range(SLOTS)
        ]
        before, self.slots, self.primaries = self.slots, slots, list(nodes.values())
        moved = frozenset(slot for slot in range(SLOTS) if before and before[slot] is not slots[slot])
        changed = bool(moved) or not before
        if moved:
            self.on_handover({of[slot] for slot in moved for of in (before, slots)})
        if changed:
            self._on_moved(moved)
        self._retire(set(nodes.values()))
        return changed

    def _retire(self, used: set[ClusterNode]) -> None:
        """Forget nodes without slots; those that a redirect leads to are made anew."""
        for where, node in list(self._nodes.items()):
            if node not in used:
                del self._nodes[where]
                node.on_retired()
                self._retired[node] = self._loop.call_later(RETIRE_SECONDS, self._drop, node)

    def _drop(self, node: ClusterNode) -> None:
        del self._retired[node]
        node.node.abandon()
