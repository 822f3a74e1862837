"""The near cache of a cluster: every primary says what has changed among its keys.

The names of an entry, that is its key and its tags, may be on several nodes. It relies on the present
`Generation` of each of them, and is served while all go on and are proven.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import monotonic

from langcache_cli.caching._deployment.cluster.cluster_node import ClusterNode
from langcache_cli.caching._deployment.cluster.router import Router
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._near.follower import Follower
from langcache_cli.caching._near.generation import Generation
from langcache_cli.caching._near.memory import NearEntry, NearMemory
from langcache_cli.caching._near.tracking import HEARTBEAT_SECONDS, NearCache, NearFill, decoded
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.connection import encode_command
from langcache_cli.caching._wire.replies import Replies

SLICE = 1000
"""So many keys of one message are dropped in one turn of the event loop; a message may name 50,000."""


class ClusterNear(NearCache):
    """See `NearCache` for the methods."""

    def __init__(self, memory: NearMemory, namespace: str, router: Router) -> None:
        """See `NearCache`; ``router`` knows the nodes."""
        super().__init__(memory, namespace)
        self._router = router
        self._followers: dict[BatchedConnection, Follower] = {}
        """By the connection that each follows."""
        router.topology.on_handover = self._on_handover

    def start_tracking(self, connection: BatchedConnection) -> None:
        """See `NearCache`. The other nodes are followed as before."""
        topology = self._router.topology
        node = next((node for node in topology.nodes if node.latest is connection), None)
        if node is not None and self._track(connection):
            self._followers[connection] = Follower(node, connection, topology, self._namespace)

    def stop(self) -> None:
        """See `NearCache`."""
        for follower in self._followers.values():
            follower.end()
        self._followers.clear()
        super().stop()

    def get(self, key: str, now: float) -> NearEntry | None:
        """See `NearCache`."""
        entry = self.memory.get(key, now)
        if entry is None:
            return None
        for source in entry.sources:
            if now > source.proven_until:
                if source.has_ended:
                    self.memory.remove(key)
                return None
            source.is_used = True
        if self._timer is None:
            self._heartbeat()
        return entry

    def start_fill(self, keys: KeyAndTags) -> NearFill | None:
        """See `NearCache`."""
        sources: dict[Generation, Follower] = {}
        for key in keys:
            follower = self._follower_of(self._router.node_of(key))
            if follower is None or follower.generation is None:
                return None
            sources.setdefault(follower.generation, follower)
        ttl = Replies(self._loop, 1)
        first = next(iter(sources.values()))
        first.node.ask_ahead(encode_command(("PTTL", keys[0])), ttl.receive)
        return NearFill(self.memory.generation, monotonic(), ttl.future, tuple(sources))

    def _still_follows(self, fill: NearFill) -> bool:
        return not any(source.has_ended for source in fill.sources)

    def _prove(self, fill: NearFill) -> None:
        for source in fill.sources:
            source.prove(fill.sent_at)

    def _on_tracking(self, connection: BatchedConnection) -> None:
        if (follower := self._followers.get(connection)) is not None:
            follower.begin()

    def _on_changes(self, connection: BatchedConnection, keys: Sequence[bytes] | None) -> None:
        follower = self._followers.get(connection)
        if follower is None:
            return
        if keys is not None and len(keys) <= SLICE:
            self.memory.drop(decoded(keys))
            return
        follower.renew()
        if keys is not None:
            self._drop_in_slices(keys)

    def _drop_in_slices(self, keys: Sequence[bytes]) -> None:
        """Give back the memory of entries that are not served any more."""
        self.memory.drop(decoded(keys[:SLICE]))
        if rest := keys[SLICE:]:
            self._loop.call_soon(self._drop_in_slices, rest)

    def _on_connection_lost(self, connection: BatchedConnection) -> None:
        if (follower := self._followers.pop(connection, None)) is not None:
            follower.end()

    def _on_handover(self, nodes: Iterable[ClusterNode | None]) -> None:
        """Slots go from one of these nodes to another, now or soon."""
        for node in nodes:
            if (follower := self._follower_of(node)) is not None:
                follower.renew()

    def _follower_of(self, node: object) -> Follower | None:
        """Who follows a node over its present connection."""
        connection = node.node.connection if isinstance(node, ClusterNode) else None
        return None if connection is None else self._followers.get(connection)

    def _heartbeat(self) -> None:
        """Prove the connections that are relied on. An idle process runs no timer."""
        self._timer = None
        used = [one for one in self._followers.values() if one.generation and one.generation.is_used]
        for follower in used:
            follower.beat()
        if used:
            self._timer = self._loop.call_later(HEARTBEAT_SECONDS, self._heartbeat)
