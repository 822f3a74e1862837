"""What one node of a cluster says: which keys have changed, and whether it still has them."""

from __future__ import annotations

import asyncio
from functools import partial
from time import monotonic
from typing import Any

from langcache_cli.caching._deployment.cluster.cluster_node import ClusterNode
from langcache_cli.caching._deployment.cluster.slots import slot_of
from langcache_cli.caching._deployment.cluster.topology import Topology
from langcache_cli.caching._errors import ServerReplyError
from langcache_cli.caching._near.generation import MAX_LAG_SECONDS, Generation
from langcache_cli.caching._wire.batched_connection import BatchedConnection

TRIES = 500
"""So many keys are tried at once to find one in a slot of a node; that takes less than a millisecond."""


class Follower:
    """Follows one primary over the connection that carries its look-ups."""

    def __init__(
        self, node: ClusterNode, connection: BatchedConnection, topology: Topology, namespace: str
    ) -> None:
        """Prepare; `generation` begins when the node pushes what changes."""
        self.generation: Generation | None = None
        """What new entries rely on; None before the node pushes changes."""
        self.connection = connection
        self.node = node
        self._topology = topology
        self._key_stem = f"{namespace}@beat:"
        self._key_number = 0
        self._awaits_reply = False

    def begin(self) -> None:
        """The node pushes what changes from now on."""
        self.generation = Generation()

    def renew(self) -> None:
        """A change may have been missed, or will be: entries from before are not served any more."""
        if self.generation is not None:
            self.generation.end()
            self.generation = Generation()

    def end(self) -> None:
        """The connection has ended."""
        if self.generation is not None:
            self.generation.end()
            self.generation = None

    def beat(self) -> None:
        """Prove the connection, if an entry was served since the last time.

        By a command about a key of the node's own slots, which is never stored: a node that is no primary any
        more answers PING all the same. A node that was silent is believed only with a witness, see
        `ClusterNode.is_silent`: the next look-up has one.
        """
        generation = self.generation
        if generation is None or not generation.is_used:
            return
        generation.is_used = False
        if self._awaits_reply or self.node.is_silent or (key := self._own_key()) is None:
            return
        self._awaits_reply = True
        reply = self.connection.request([("EXISTS", key)])
        reply.future.add_done_callback(partial(self._receive, monotonic()))

    def _own_key(self) -> str | None:
        """A key in one of the node's slots; None if none is found now."""
        slots = self._topology.slots
        for number in range(self._key_number, self._key_number + TRIES if slots else 0):
            key = f"{self._key_stem}{number}"
            if slots[slot_of(key)] is self.node:
                self._key_number = number
                return key
        self._key_number += TRIES
        return None

    def _receive(self, sent_at: float, reply: asyncio.Future[list[Any]]) -> None:
        self._awaits_reply = False
        if reply.cancelled() or reply.exception() is not None or self.generation is None:
            return
        (found,) = reply.result()
        if isinstance(found, ServerReplyError):  # MOVED: demoted; ASK: the slot of this key is on its way
            self._key_number += 1
            self.renew()
            self._topology.refresh_soon(avoid=self.node)
            return
        self.generation.prove(sent_at)
        if monotonic() - sent_at < MAX_LAG_SECONDS:  # else it may have been stopped meanwhile
            self.node.heard()
