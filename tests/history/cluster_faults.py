"""What is done to a cluster while the workers use it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from langcache_cli.caching._deployment.cluster.slots import SLOTS, slot_of
from tests.harness.polling import eventually
from tests.harness.redis_cluster import RedisCluster
from tests.harness.redis_server import RedisServer
from tests.history.faults import KINDS, Faults
from tests.history.fleet import Fleet

REPLACED_SECONDS = 20.0
SLOTS_AT_ONCE = 12


class ClusterFaults(Faults):
    """Faults of workers, and of the nodes of a cluster."""

    def __init__(
        self,
        fleet: Fleet,
        cluster: RedisCluster,
        chance: random.Random,
        *,
        names: list[str],
        calm_seconds: float,
    ) -> None:
        """Prepare those of ``names``, with ``calm_seconds`` between them on average."""
        super().__init__(fleet, cluster.nodes[0], None, chance, names=names, calm_seconds=calm_seconds)
        self._cluster = cluster

    @classmethod
    def kinds(cls) -> dict[str, Callable[[Any], None]]:
        """All faults by name."""
        return CLUSTER_KINDS

    def _primary(self) -> RedisServer:
        self._cluster.settle()
        return self._chance.choice(self._cluster.primaries)

    def _wait_until_replaced(self, node: RedisServer, slot: int) -> None:
        eventually(lambda: self._owner(slot) not in (node, None), within=REPLACED_SECONDS, every=0.05)

    def _owner(self, slot: int) -> RedisServer | None:
        """The primary that has a slot; None while a node says that there is none."""
        try:
            return self._cluster.owner(slot)
        except LookupError:
            return None

    def _slot_of(self, node: RedisServer) -> int:
        return next(slot for slot in range(0, SLOTS, 7) if self._owner(slot) is node)

    def kill_primary(self) -> None:
        """kill -9; a replica takes its place, and it comes back, empty, as a replica of that."""
        node = self._primary()
        slot = self._slot_of(node)
        self._cluster.kill(node)
        self._wait_until_replaced(node, slot)
        self._cluster.start(node)
        self._cluster.settle()

    def stop_primary(self) -> None:
        """SIGSTOP for less time than it takes to replace it."""
        node = self._primary()
        self._cluster.stop(node)
        self.hold()
        self._cluster.cont(node)

    def stop_primary_until_replaced(self) -> None:
        """SIGSTOP until a replica has taken its place; then it wakes up, and takes itself for the primary."""
        node = self._primary()
        slot = self._slot_of(node)
        self._cluster.stop(node)
        self._wait_until_replaced(node, slot)
        self.hold()
        self._cluster.cont(node)
        self._cluster.settle()

    def failover(self) -> None:
        """CLUSTER FAILOVER, in good order."""
        self._cluster.failover(self._primary())

    def restart_replica(self) -> None:
        """kill -9 of a replica, which comes back."""
        replicas = self._cluster.replicas_of(self._primary())
        if replicas:
            self._cluster.kill(replicas[0])
            self.hold()
            self._cluster.start(replicas[0])

    def reshard(self) -> None:
        """Some slots in use go to another node, key by key."""
        self._cluster.settle()
        keys = [key for node in self._cluster.primaries for key in node.command("KEYS", "cache*")]
        for slot in self._chance.sample(
            slots := sorted({*map(slot_of, keys)}), min(len(slots), SLOTS_AT_ONCE)
        ):
            others = [node for node in self._cluster.primaries if node is not self._owner(slot)]
            self._cluster.migrate(slot, self._chance.choice(others))

    def flush_node(self) -> None:
        """FLUSHALL of one node by another client."""
        self._primary().command("FLUSHALL")

    def forget_scripts_of_node(self) -> None:
        """SCRIPT FLUSH of one node."""
        self._primary().command("SCRIPT", "FLUSH")


CLUSTER_KINDS: dict[str, Callable[[Any], None]] = {
    **{name: KINDS[name] for name in ("kill a worker", "stop a worker", "jump of a clock")},
    "kill a primary": ClusterFaults.kill_primary,
    "stop a primary": ClusterFaults.stop_primary,
    "stop a primary until it is replaced": ClusterFaults.stop_primary_until_replaced,
    "failover": ClusterFaults.failover,
    "restart a replica": ClusterFaults.restart_replica,
    "reshard": ClusterFaults.reshard,
    "FLUSHALL": ClusterFaults.flush_node,
    "SCRIPT FLUSH": ClusterFaults.forget_scripts_of_node,
}
