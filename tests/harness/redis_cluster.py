"""A real Redis (or Valkey) Cluster on loopback whose nodes a test may stop, kill, fail over and reshard.

Ready in two to three seconds, most of which the servers wait before they call the cluster complete.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tests.harness.cluster_meeting import meet
from tests.harness.cluster_node import (
    SLOTS,
    becomes_replica,
    is_linked,
    is_ok,
    keys_in,
    move_keys,
    node_id,
    open_slots,
    share,
    slot_rows,
    was_elected_within,
    write_once,
)
from tests.harness.formed_servers import FormedServers, can_answer
from tests.harness.polling import eventually
from tests.harness.ports import LOCALHOST
from tests.harness.proxy import FaultProxy
from tests.harness.redis_server import RedisServer
from tests.harness.resp import Argument, Reply, RespConnection, RespError

HOPS = 20
WAKING_SECONDS = 0.1
FORM_SECONDS = 60.0
SETTLE_SECONDS = 60.0
FLUSH_SECONDS = 8.0
LOST_ANSWER_MS = 20
FAILOVER_SECONDS = 6.0


class RedisCluster(FormedServers):
    """Nodes are `RedisServer`s: the first ones own the slots at first, the others are their replicas.

    `node_timeout` is in milliseconds: a primary that is silent for so long is replaced by its replica.
    `binary` is a server program instead of the default one, `config` further lines of redis.conf of every
    node. Synchronous, as `RedisServer`. With `with`, or after `form`, it is one cluster; `close` ends it.
    """

    def __init__(
        self,
        primaries: int = 3,
        replicas: int = 1,
        node_timeout: int = 1500,
        binary: Path | None = None,
        config: tuple[str, ...] = (),
    ) -> None:
        lines = (
            "cluster-enabled yes",
            "cluster-config-file nodes.conf",
            f"cluster-node-timeout {node_timeout}",
            *config,
        )
        self._n_primaries = primaries
        self._votes_count_seconds = max(2 * node_timeout, 2000) / 1000
        self.login = ""
        """What `url` has in front of the hosts: `user:password@`."""
        self.nodes = [
            RedisServer(config=lines, binary=binary, cluster_bus=True)
            for _ in range(primaries * (1 + replicas))
        ]

    # -- what it is --

    @property
    def url(self) -> str:
        """`redis+cluster://127.0.0.1:P1,127.0.0.1:P2,...` of all nodes."""
        return f"redis+cluster://{self.login}{','.join(f'{LOCALHOST}:{node.port}' for node in self.nodes)}"

    @property
    def running(self) -> list[RedisServer]:
        """The nodes that can answer: neither killed nor stopped."""
        return [node for node in self.nodes if can_answer(node)]

    @property
    def primaries(self) -> list[RedisServer]:
        """The nodes that own slots, as a running node sees it, in the order of their first slots."""
        return list(dict.fromkeys(node for node in self._owners(self.running[0]) if node is not None))

    def replicas_of(self, primary: RedisServer) -> list[RedisServer]:
        """The replicas of a primary that the cluster lists."""
        for _, _, owner, *replicas in slot_rows(self.running[0]):
            if owner[1] == primary.port:
                return [self._by_port(replica[1]) for replica in replicas]
        return []

    def slot_of(self, key: str | bytes) -> int:
        """The slot of a key, as a server computes it."""
        slot: Any = self.running[0].command("CLUSTER", "KEYSLOT", key)
        return int(slot)

    def node_of(self, key: str | bytes) -> RedisServer:
        """The primary that owns the slot of a key."""
        return self.owner(self.slot_of(key))

    def owner(self, slot: int) -> RedisServer:
        """The primary that owns a slot."""
        owner = self._owners(self.running[0])[slot]
        if owner is None:
            raise LookupError(f"slot {slot} has no owner")
        return owner

    def has_another_owner(self, slot: int, node: RedisServer) -> bool:
        """True once a slot is another node's. While one is replaced, others may know of no owner."""
        return self._owners(self.running[0])[slot] not in (node, None)

    def slots_of(self, primary: RedisServer) -> frozenset[int]:
        """The slots that a primary owns."""
        owners = self._owners(self.running[0])
        return frozenset(slot for slot, owner in enumerate(owners) if owner is primary)

    def command(self, *arguments: Argument, timeout: float = 5.0) -> Reply:
        """Send one command to the node that owns the slot of its first key; without a key, to any node.

        Follows redirects. Raises as `RedisServer.command` does.
        """
        node, asking = self.running[0], False
        for hop in range(HOPS):
            with node.connect(timeout=timeout) as connection:
                try:
                    if asking:
                        connection.call("ASKING")
                    return connection.call(*arguments)
                except RespError as error:
                    kind, *where = str(error).split(" ")
                    if kind not in ("MOVED", "ASK", "CLUSTERDOWN") or hop + 1 == HOPS:
                        raise
            if kind == "CLUSTERDOWN":  # a node that has just woken knows no owner yet
                time.sleep(WAKING_SECONDS)
                continue
            node, asking = self._by_port(int(where[1].rpartition(":")[2])), kind == "ASK"
        raise AssertionError  # the last error was raised

    # -- what a test does to it --

    def kill(self, node: RedisServer) -> None:
        """See `FormedServers`; first waits until the replicas' old votes do not count any more."""
        self._wait_for_old_votes(node)
        super().kill(node)

    def stop(self, node: RedisServer) -> None:
        """See `FormedServers`; first waits until the replicas' old votes do not count any more."""
        self._wait_for_old_votes(node)
        super().stop(node)

    def form(self) -> Self:
        """Start the nodes and make them one cluster; returns once it is settled."""
        with ThreadPoolExecutor(len(self.nodes)) as threads:
            list(threads.map(RedisServer.start, self.nodes))
        primaries = self.nodes[: self._n_primaries]
        for place, node in enumerate(self.nodes):
            node.command("CLUSTER", "SET-CONFIG-EPOCH", place + 1)
        for place, node in enumerate(primaries):
            node.command("CLUSTER", "ADDSLOTS", *share(place, self._n_primaries))
        meet(self.nodes, within=FORM_SECONDS)
        for place, node in enumerate(self.nodes[self._n_primaries :]):
            primary = node_id(primaries[place % self._n_primaries])
            eventually(lambda node=node, primary=primary: becomes_replica(node, primary), within=FORM_SECONDS)
        eventually(lambda: all(map(is_ok, self.nodes)), within=FORM_SECONDS)
        for node in primaries:
            write_once(node)  # a replica is listed once its offset is not 0: else after ten seconds
        self.settle()
        return self

    def failover(self, node: RedisServer) -> RedisServer:
        """Have a replica of this primary take its place in good order; returns the new primary."""
        replica = self.replicas_of(node)[0]
        slot = self._owners(replica).index(node)
        asked_at = float("-inf")

        def has_taken_over() -> bool:
            nonlocal asked_at
            if time.monotonic() - asked_at > FAILOVER_SECONDS:  # it gives up by itself after 5 s
                asked_at = time.monotonic()
                with contextlib.suppress(RespError):  # it is the primary by now
                    replica.command("CLUSTER", "FAILOVER")
            return self._all_name(slot, replica)

        eventually(has_taken_over, within=SETTLE_SECONDS)
        return replica

    def migrate(self, slot: int, to: RedisServer, pause: Callable[[], object] = lambda: None) -> int:
        """Move a slot, key by key; returns how many keys were moved.

        `pause` is called between all steps: after the slot was opened, after each key, before it is closed.
        """
        with self._moving(slot, to) as giving:
            pause()
            return move_keys(giving, slot, to, pause)

    def migrate_twice(self, slot: int, to: RedisServer, pause: Callable[[], object]) -> int:
        """`migrate`, whose answers are lost at first: during `pause` the keys are on both nodes."""
        with self._moving(slot, to) as giving:
            with FaultProxy(to.port) as proxy:
                proxy.swallow_replies()
                for key in keys_in(giving, slot):
                    with contextlib.suppress(RespError):  # IOERR: it does not know whether it was done
                        giving.call("MIGRATE", LOCALHOST, proxy.port, key, 0, LOST_ANSWER_MS, "REPLACE")
            pause()
            return move_keys(giving, slot, to, lambda: None)

    @contextlib.contextmanager
    def _moving(self, slot: int, to: RedisServer) -> Iterator[RespConnection]:
        """A connection to the owner of a slot that is open until the end; then `to` has it."""
        source = self.owner(slot)
        with source.connect() as giving, to.connect() as taking:
            target_id = node_id(to)
            taking.call("CLUSTER", "SETSLOT", slot, "IMPORTING", node_id(source))
            giving.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
            yield giving
            taking.call("CLUSTER", "SETSLOT", slot, "NODE", target_id)
            giving.call("CLUSTER", "SETSLOT", slot, "NODE", target_id)
        for node in self.primaries:
            if node not in (source, to) and node in self.running:
                node.command("CLUSTER", "SETSLOT", slot, "NODE", target_id)
        eventually(lambda: self._all_name(slot, to), within=SETTLE_SECONDS)

    def settle(self) -> None:
        """Wait until all running nodes agree, every slot is served and every running replica is in step."""
        eventually(self._is_settled, within=SETTLE_SECONDS, every=0.02)

    def flush(self) -> None:
        """Make it as new, but perhaps for who owns what: all nodes run; no open slot, client, key, script."""
        for node in self.nodes:
            if not node.running:
                node.start()
            node.resume()
        try:
            eventually(self._is_settled, within=FLUSH_SECONDS, every=0.02)
        except AssertionError:  # on a busy machine elections take long: forming it anew takes three seconds
            for node in self.nodes:
                node.reset()
            self.form()
            return
        primaries = self.primaries
        for node in self.nodes:
            with node.connect() as connection:
                for slot in open_slots(connection):
                    connection.call("CLUSTER", "SETSLOT", slot, "STABLE")
                connection.call("CLIENT", "UNPAUSE")
                for kind in ("normal", "pubsub"):
                    connection.call("CLIENT", "KILL", "TYPE", kind)
                if node in primaries:
                    connection.call("FLUSHALL")
                connection.call("SCRIPT", "FLUSH")
                connection.call("CONFIG", "RESETSTAT")

    def close(self) -> None:
        """Kill all nodes, remove their folders, give up their ports. Safe to call twice."""
        with ExitStack() as all_of_them:
            for node in self.nodes:
                all_of_them.callback(node.close)

    # -- how --

    def _wait_for_old_votes(self, node: RedisServer) -> None:
        """A replica that has won an election, and was replaced since, would win the next with those votes.

        Its epoch would be older than that of the lost primary, and the others would not follow it.
        """
        within = self._votes_count_seconds
        for other in self.nodes:  # CLUSTER SLOTS does not list a replica at once
            if other is not node:
                eventually(lambda other=other: not was_elected_within(other, within), within=2 * within)

    def _is_settled(self) -> bool:
        running = self.running
        views = [self._owners(node) for node in running]
        primaries = set(views[0])
        if None in primaries or any(view != views[0] for view in views) or not all(map(is_ok, running)):
            return False
        replicas = [node for node in running if node not in primaries]
        listed = {replica[1] for row in slot_rows(running[0]) for replica in row[3:]}
        return all(replica.port in listed and is_linked(replica) for replica in replicas)

    def _owners(self, asked: RedisServer) -> list[RedisServer | None]:
        """The owner of each slot, as one node sees it."""
        owners: list[RedisServer | None] = [None] * SLOTS
        for first, last, owner, *_ in sorted(slot_rows(asked), key=lambda row: row[0]):
            owners[first : last + 1] = [self._by_port(owner[1])] * (last + 1 - first)
        return owners

    def _all_name(self, slot: int, owner: RedisServer) -> bool:
        return all(self._owners(node)[slot] is owner for node in self.running)

    def _by_port(self, port: int) -> RedisServer:
        return next(node for node in self.nodes if node.port == port)
