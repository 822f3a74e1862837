"""What is done to servers that have replicas, as in a cluster or behind Sentinel."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.harness.polling import eventually
from tests.harness.proxy import FaultProxy
from tests.harness.redis_cluster import RedisCluster
from tests.harness.redis_server import RedisServer
from tests.harness.sentinels import SentinelSet
from tests.history.faults import Faults
from tests.history.fleet import Fleet
from tests.history.journal import now
from tests.history.records import LostWrites

REPLACED_SECONDS = 20.0
WAKING_SECONDS = (0.0, 0.05)
"""Less than the budget of a call."""

LAG_SECONDS = (0.01, 0.2)
"""For how long a primary is not replicated before it is lost."""


class NodeFaults(Faults, ABC):
    """Faults of workers, of the network to one node, and of nodes.

    `start` of a node that was killed brings it back empty, as a replica of whatever has taken its place.
    """

    def __init__(
        self,
        fleet: Fleet,
        servers: RedisCluster | SentinelSet,
        proxies: Mapping[int, FaultProxy],
        chance: random.Random,
        *,
        names: Sequence[str],
        calm_seconds: float,
    ) -> None:
        """Prepare, see `Faults`; ``proxies`` by the port that they lead to."""
        super().__init__(fleet, list(proxies.values()), chance, names=names, calm_seconds=calm_seconds)
        self._servers = servers
        self._proxy_of = proxies

    @classmethod
    def kinds(cls) -> Mapping[str, Callable[[Any], None]]:
        """All faults by name."""
        return {**super().kinds(), **OF_NODES}

    @abstractmethod
    def _primary(self) -> RedisServer:
        """A primary, once all is in order."""

    @abstractmethod
    def _replicas_of(self, primary: RedisServer) -> Sequence[RedisServer]:
        """The replicas that could take its place."""

    @abstractmethod
    def _slots_of(self, primary: RedisServer) -> frozenset[int]:
        """The slots of the keys that it has."""

    @abstractmethod
    def _is_replaced(self, primary: RedisServer) -> Callable[[], bool]:
        """A condition that holds once another node has its place."""

    @abstractmethod
    def failover(self) -> None:
        """A replica takes the place of its primary, in good order."""

    def _pick_proxy(self) -> FaultProxy:
        return self._proxy_of[self._primary().port]

    def kill_primary(self) -> None:
        """kill -9; a replica takes its place."""
        node = self._primary()
        is_replaced = self._is_replaced(node)
        self._servers.kill(node)
        self._bring_back(node, is_replaced)

    def lose_primary(self) -> None:
        """kill -9 of a primary that has acknowledged writes which no replica has."""
        node = self._primary()
        replicas, slots, is_replaced = self._replicas_of(node), self._slots_of(node), self._is_replaced(node)
        for replica in replicas:  # they would connect again and catch up
            self._servers.stop(replica)
        began = now()
        node.command("CLIENT", "KILL", "TYPE", "replica")
        self._stop.wait(self._chance.uniform(*LAG_SECONDS))
        self._servers.kill(node)
        self.lost.append(LostWrites(began, now(), slots))
        for replica in replicas:
            self._servers.cont(replica)
        self._bring_back(node, is_replaced)

    def _bring_back(self, node: RedisServer, is_replaced: Callable[[], bool]) -> None:
        eventually(is_replaced, within=REPLACED_SECONDS, every=0.05)
        self._servers.start(node)
        self._servers.settle()

    def stop_primary(self) -> None:
        """SIGSTOP for less time than it takes to replace it, mostly."""
        node = self._primary()
        self._servers.stop(node)
        self.hold()
        self._servers.cont(node)

    def stop_primary_until_replaced(self) -> None:
        """SIGSTOP until a replica has taken its place; then it wakes up, and takes itself for the primary."""
        node = self._primary()
        is_replaced = self._is_replaced(node)
        self._servers.stop(node)
        eventually(is_replaced, within=REPLACED_SECONDS, every=0.05)
        self.hold()
        self._fleet.wake_idle()  # their links to it were silent: nothing has told them
        self._stop.wait(self._chance.uniform(*WAKING_SECONDS))
        self._servers.cont(node)
        self._servers.settle()

    def restart_replica(self) -> None:
        """kill -9 of a replica, which comes back."""
        replicas = self._replicas_of(self._primary())
        if replicas:
            self._servers.kill(replicas[0])
            self.hold()
            self._servers.start(replicas[0])

    def flush_node(self) -> None:
        """FLUSHALL of one node by another client."""
        self._primary().command("FLUSHALL")

    def forget_scripts_of_node(self) -> None:
        """SCRIPT FLUSH of one node."""
        self._primary().command("SCRIPT", "FLUSH")


OF_NODES: Mapping[str, Callable[[Any], None]] = {
    "kill a primary": NodeFaults.kill_primary,
    "kill a primary that is not replicated": NodeFaults.lose_primary,
    "stop a primary": NodeFaults.stop_primary,
    "stop a primary until it is replaced": NodeFaults.stop_primary_until_replaced,
    "failover": lambda faults: faults.failover(),
    "restart a replica": NodeFaults.restart_replica,
    "FLUSHALL": NodeFaults.flush_node,
    "SCRIPT FLUSH": NodeFaults.forget_scripts_of_node,
}
