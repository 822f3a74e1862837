"""Where keys lead in a cluster: the node of each slot, redirects, and whether a node may be believed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from langcache_cli.caching._background import Background
from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._config.redis_target import RedisTarget
from langcache_cli.caching._deployment.cluster.cluster_node import ClusterNode
from langcache_cli.caching._deployment.cluster.exchange import MAX_REDIRECTS
from langcache_cli.caching._deployment.cluster.node_outages import NodeOutageLog
from langcache_cli.caching._deployment.cluster.slots import Redirect, slot_of
from langcache_cli.caching._deployment.cluster.topology import Topology
from langcache_cli.caching._deployment.cluster.turn import Asked, Wanted
from langcache_cli.caching._errors import CacheError, CacheUnavailableError, ServerReplyError
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.externals import Connect
from langcache_cli.caching._wire.failures import NOT_SERVING
from langcache_cli.caching._wire.idle_clock import IdleClock
from langcache_cli.caching._wire.node import RECONNECT_SECONDS, Node
from langcache_cli.caching._wire.outage_log import OutageLog

WITNESSES = 2
"""So many other nodes are asked at most, one after the other, whether a node still has a slot."""

NO_CLUSTER = "cluster support disabled"
"""Part of what a plain server says."""


class Router:
    """The nodes of a cluster, for one event loop."""

    def __init__(
        self,
        target: RedisTarget,
        *,
        timeout: float,
        clock: IdleClock,
        connect: Connect,
        on_connect: Callable[[BatchedConnection], object] | None,
        on_moved: Callable[[frozenset[int]], object],
        outages: OutageLog | None,
    ) -> None:
        """Prepare; nothing is connected yet. See `Cluster` for the arguments."""
        self.redirects = 0
        """How many commands were redirected so far."""
        self._name = str(target)
        self._timeout = timeout
        self._clock = clock
        self._connect = connect
        self._on_connect = on_connect
        self._outages = outages
        self._loop = asyncio.get_running_loop()
        self._background = Background(self._loop, name="langcache-cluster")
        self._closed = False
        self._may_reconnect_at = 0.0
        self.topology = Topology(
            target,
            new_node=self._new_node,
            connect=connect,
            timeout=timeout,
            clock=clock,
            spawn=self._background.spawn,
            on_moved=on_moved,
        )

    async def known(self, deadline: float) -> None:
        """Return when the slots are known.

        Args:
            deadline: When to give up, on the clock.

        Raises:
            CacheUnavailableError: They are not.
        """
        if self._closed:
            raise self.unavailable("the cache was closed")
        try:
            await self.topology.known(deadline)
        except TimeoutError as error:
            raise self.unavailable("no node has said in time which slots it serves") from error
        except CacheUnavailableError as error:
            raise type(error)(error.reason, target=self._name) from error
        except CacheError as error:
            if NO_CLUSTER in str(error):
                plain = "REDIS_URL names a cluster, and one Redis answers there: write redis:// or rediss://"
                raise self.unavailable(plain) from error
            raise self.unavailable(f"the slots cannot be found out: {error}") from error

    def node_of(self, key: str) -> Asked | Exception:
        """The node that serves a key, or why there is none."""
        return self.node_of_slot(slot_of(key))

    def settle(self, wanted: Wanted, reply: Any) -> None:
        """Act on a reply to GET that is no value."""
        node = wanted.asked
        assert isinstance(node, ClusterNode)  # noqa: S101 - it was asked
        if not isinstance(reply, Exception):
            node.node.drop()
            wanted.fail(node.failed(OSError("the reply is not one to GET")))
        elif not isinstance(reply, ServerReplyError):
            wanted.fail(node.failed(reply))
        elif reply.code in ("MOVED", "ASK"):
            wanted.redirects += 1
            if wanted.redirects > MAX_REDIRECTS:
                wanted.fail(self.unavailable(f"redirected more than {MAX_REDIRECTS} times"))
                return
            target, asking = self.redirect(reply, node)
            target.get([wanted], asking=asking)
        elif reply.code in ("CLUSTERDOWN", "TRYAGAIN"):
            wanted.fail(self.is_down_error(reply))
        elif reply.code == "WRONGTYPE":
            wanted.succeed(None)  # as MGET says
        else:
            wanted.fail(node.failed(reply) if reply.code in NOT_SERVING else reply)

    def node_of_slot(self, slot: int) -> ClusterNode | CacheUnavailableError:
        """The node that serves a slot, or why there is none."""
        node = self.topology.slots[slot] if self.topology.slots else None
        if node is None:
            self.topology.refresh_soon()
            return self.unavailable(f"no node serves slot {slot}")
        return node

    def redirect(self, reply: ServerReplyError, asked: ClusterNode) -> tuple[ClusterNode, bool]:
        """The node that a redirect leads to, and True if it only receives the slot (``ASK``)."""
        self.redirects += 1
        redirect = Redirect.of(reply, asked.node.address.host)
        if redirect is None or redirect.host is None:
            self.topology.on_handover((asked,))
            self.topology.refresh_soon(avoid=asked)
            return asked, False
        target = self.topology.node_at(redirect.host, redirect.port)
        self.topology.on_handover((asked, target))
        if redirect.kind == "ASK":
            return target, True
        if target is asked:
            self._reconnect(asked)
        self.topology.patch(redirect.slot, target)
        self.topology.refresh_soon(avoid=asked)
        return target, False

    def is_down_error(self, reply: ServerReplyError) -> CacheUnavailableError:
        """The error for ``CLUSTERDOWN``, which every node says for a moment of each failover."""
        self.topology.refresh_soon()
        return self.unavailable(f"the cluster is down: {reply}")

    def refresh_soon(self) -> None:
        """Ask which node has which slots."""
        self.topology.refresh_soon()

    def unavailable(self, reason: str) -> CacheUnavailableError:
        """An error for this reason."""
        return CacheUnavailableError(reason, target=self._name)

    async def contradiction(
        self, node: ClusterNode, key: str, *, within: float | None = None
    ) -> CacheError | None:
        """What another node says against ``node`` as the owner of a key; None for nothing.

        A primary that was stopped and replaced takes itself for the owner for some milliseconds after it has
        woken up; the others know better.

        Args:
            node: The node that may have been replaced.
            key: A key of which it takes itself for the owner.
            within: Upper bound for the time in seconds, if that is less than half the time of a command.
        """
        seconds = self._timeout / 2 if within is None else min(within, self._timeout / 2)
        others = [other for other in self.topology.primaries if other is not node]
        if not others:
            return await self._demotion(node, seconds)
        others.sort(key=lambda other: (other.is_connected, not other.node.breaker.failing, other.heard_at))
        problem: CacheError | None = None
        for witness in others[: -WITNESSES - 1 : -1]:  # the best last
            try:
                (reply,) = await witness.node.call_many([("GET", key)], budget=Budget(seconds / WITNESSES))
            except CacheUnavailableError as error:  # one that hangs says nothing of the node in question
                problem = error
                continue
            if not isinstance(reply, ServerReplyError):
                return ServerReplyError("TRYAGAIN the slot has another owner now")
            redirect = Redirect.of(reply, witness.node.address.host)
            is_owner = redirect is not None and (redirect.host, redirect.port) == node.where
            return None if is_owner else reply
        return problem

    async def _demotion(self, node: ClusterNode, seconds: float) -> CacheError | None:
        """What the only primary says against itself; None for nothing."""
        try:
            role = await node.node.call("ROLE", budget=Budget(seconds))
        except ServerReplyError:  # no right to ROLE
            return None
        except CacheUnavailableError as error:
            return error
        return None if role[0] == b"master" else ServerReplyError("TRYAGAIN this node is a replica now")

    def close(self) -> list[asyncio.Task[Any]]:
        """Drop all connections; returns the tasks under way."""
        self._closed = True
        ending: list[asyncio.Task[Any]] = self._background.tasks()
        for node in self.topology.close():
            ending += node.node.abandon()
        return ending

    def _new_node(self, address: RedisAddress, node_id: str) -> ClusterNode:
        def connected(connection: BatchedConnection) -> None:
            made.check_identity(connection)
            if self._on_connect is not None:
                self._on_connect(connection)

        outages = None
        if self._outages is not None:
            outages = NodeOutageLog(
                self._outages, address.where, has_slots=lambda: made in self.topology.primaries
            )
        node = Node(
            address,
            timeout=self._timeout,
            connect=self._connect,
            on_connect=connected,
            outages=outages,
            clock=self._clock,
            on_recovery=lambda: self._background.spawn(self._confirm(made)),
        )
        made = ClusterNode(
            node,
            node_id=node_id,
            spawn=self._background.spawn,
            contradiction=lambda key, within: self.contradiction(made, key, within=within),
            on_trouble=self._on_trouble,
            on_retired=outages.replaced if outages is not None else lambda: None,
        )
        return made

    async def _confirm(self, node: ClusterNode) -> None:
        """Use a node that was lost again, if another one says that it has slots."""
        if await self.topology.is_confirmed(node):
            node.node.succeeded()

    def _on_trouble(self, node: ClusterNode) -> None:
        self.topology.refresh_soon(avoid=node)

    def _reconnect(self, node: ClusterNode) -> None:
        """A node that redirects to itself is another one behind the same address by now."""
        now = self._loop.time()
        if now >= self._may_reconnect_at:
            self._may_reconnect_at = now + RECONNECT_SECONDS
            node.node.drop()
