"""Which node has which slots: as the map says, and as the nodes say of themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from langcache_cli.caching._deployment.cluster.topology import Topology
from langcache_cli.caching._deployment.server import Layout, Share
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.node import Node

SLOT_FIELDS = 8
"""In a line of ``CLUSTER NODES`` the slots follow so many other fields."""


async def layout_of(nodes: Sequence[Node], redirects: int, budget: Budget | None) -> Layout:
    """What nodes say of themselves; those that do not answer, or have not answered last, are left out."""
    asked = [node.call("CLUSTER", "NODES", budget=budget) for node in nodes if not node.breaker.failing]
    replies = await asyncio.gather(*asked, return_exceptions=True)
    own = frozenset([_own_slots(reply) for reply in replies if isinstance(reply, bytes)])
    return Layout(own, redirects, is_moving=any("[" in line for line in own))


async def connect_owners(topology: Topology, slots: int) -> None:
    """Connect to all nodes that have some of these slots.

    Raises:
        CacheUnavailableError: Not all can be used.
    """
    owners = {share.node for share in topology.shares() if share.slots & slots}
    wanted = [node for node in topology.primaries if node.node in owners and not node.is_connected]
    results = await asyncio.gather(*[one.node.connect() for one in wanted], return_exceptions=True)
    failed = [error for error in results if isinstance(error, BaseException)]
    for node, result in zip(wanted, results, strict=True):
        if result is not None:
            topology.refresh_soon(avoid=node)
    if failed:
        raise failed[0]


def share_of(topology: Topology, connection: BatchedConnection) -> Share | None:
    """The node at the other end of a new connection."""
    for node in topology.primaries:
        if node.latest is connection:
            return next((share for share in topology.shares() if share.node is node.node), None)
    return None


def _own_slots(reply: bytes) -> str:
    """The id and the slots of the node that answered ``CLUSTER NODES``; those on their way in brackets."""
    for line in reply.decode("utf-8", "replace").splitlines():
        fields = line.split()
        if len(fields) > SLOT_FIELDS and "myself" in fields[2]:
            return " ".join([fields[0], *fields[SLOT_FIELDS:]])
    return ""
