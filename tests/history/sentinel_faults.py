"""What is done to servers behind Sentinel while the workers use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langcache_cli.caching._deployment.cluster.slots import SLOTS
from tests.harness.polling import eventually
from tests.harness.redis_server import RedisServer
from tests.harness.sentinels import SentinelSet, role
from tests.history.journal import now
from tests.history.node_faults import REPLACED_SECONDS, NodeFaults
from tests.history.records import LostWrites


class SentinelFaults(NodeFaults):
    """Faults of workers, of the network to one server, of servers, and of sentinels."""

    _servers: SentinelSet

    @classmethod
    def kinds(cls) -> Mapping[str, Callable[[Any], None]]:
        """All faults by name."""
        return {**super().kinds(), **OF_SENTINELS}

    def _primary(self) -> RedisServer:
        self._servers.settle()
        return self._servers.primary()

    def _replicas_of(self, primary: RedisServer) -> Sequence[RedisServer]:
        return self._servers.replicas()

    def _slots_of(self, primary: RedisServer) -> frozenset[int]:
        return frozenset(range(SLOTS))

    def _is_replaced(self, primary: RedisServer) -> Callable[[], bool]:
        return lambda: self._servers.primary() is not primary

    def failover(self) -> None:
        """SENTINEL FAILOVER: the old primary goes on to acknowledge writes until its demotion."""
        node = self._primary()
        began = now()
        self._servers.failover()
        eventually(lambda: role(node) == b"slave", within=REPLACED_SECONDS)
        self.lost.append(LostWrites(began, now(), self._slots_of(node)))

    def stop_sentinel(self) -> None:
        """SIGSTOP of one of three sentinels."""
        sentinel = self._chance.choice(self._servers.sentinels)
        self._servers.stop(sentinel)
        self.hold()
        self._servers.cont(sentinel)

    def restart_sentinel(self) -> None:
        """kill -9 of one of three sentinels, which comes back."""
        sentinel = self._chance.choice(self._servers.sentinels)
        self._servers.kill(sentinel)
        self.hold()
        self._servers.start(sentinel)


OF_SENTINELS: Mapping[str, Callable[[Any], None]] = {
    "stop a sentinel": SentinelFaults.stop_sentinel,
    "restart a sentinel": SentinelFaults.restart_sentinel,
}
