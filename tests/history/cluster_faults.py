"""What is done to a cluster while the workers use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langcache_cli.caching._deployment.cluster.slots import slot_of
from tests.harness.redis_cluster import RedisCluster
from tests.harness.redis_server import RedisServer
from tests.history.node_faults import NodeFaults

SLOTS_AT_ONCE = 12
SLOTS_WITH_COPIES = 3


class ClusterFaults(NodeFaults):
    """Faults of workers, of the network to one node, of nodes, and of slots on their way."""

    _servers: RedisCluster

    @classmethod
    def kinds(cls) -> Mapping[str, Callable[[Any], None]]:
        """All faults by name."""
        return {**super().kinds(), **OF_SLOTS}

    def _primary(self) -> RedisServer:
        self._servers.settle()
        return self._chance.choice(self._servers.primaries)

    def _replicas_of(self, primary: RedisServer) -> Sequence[RedisServer]:
        return self._servers.replicas_of(primary)

    def _slots_of(self, primary: RedisServer) -> frozenset[int]:
        return self._servers.slots_of(primary)

    def _is_replaced(self, primary: RedisServer) -> Callable[[], bool]:
        slot = min(self._slots_of(primary))
        return lambda: self._servers.has_another_owner(slot, primary)

    def failover(self) -> None:
        """CLUSTER FAILOVER."""
        self._servers.failover(self._primary())

    def reshard(self) -> None:
        """Some slots in use go to another node, key by key."""
        for slot, to in self._moves(SLOTS_AT_ONCE):
            self._servers.migrate(slot, to)

    def reshard_with_copies(self) -> None:
        """Answers of MIGRATE are lost: for a while keys of a slot are on both nodes."""
        for slot, to in self._moves(SLOTS_WITH_COPIES, "cache:subtitles*"):
            self._servers.migrate_twice(slot, to, pause=self.hold)

    def _moves(self, count: int, pattern: str = "cache*") -> list[tuple[int, RedisServer]]:
        """Slots of keys that match, and where each shall go."""
        self._servers.settle()
        keys = [key for node in self._servers.primaries for key in node.command("KEYS", pattern)]
        slots = sorted({*map(slot_of, keys)})
        return [
            (slot, self._chance.choice([node for node in self._servers.primaries if node is not owner]))
            for slot in self._chance.sample(slots, min(len(slots), count))
            for owner in [self._servers.owner(slot)]
        ]


OF_SLOTS: Mapping[str, Callable[[Any], None]] = {
    "reshard": ClusterFaults.reshard,
    "reshard with copies": ClusterFaults.reshard_with_copies,
}
