"""Nodes get to know each other: one cluster, of which slots and replicas are still to be set."""

import time
from collections.abc import Sequence
from contextlib import ExitStack

from tests.harness.cluster_node import connected_ports
from tests.harness.polling import eventually
from tests.harness.ports import LOCALHOST
from tests.harness.redis_server import RedisServer

MEET_AGAIN_SECONDS = 0.5


def meet(nodes: Sequence[RedisServer], *, within: float) -> None:
    """Every node meets every other: nothing waits for gossip. Again where a handshake was lost."""
    with ExitStack() as connections:
        links = [connections.enter_context(node.connect()) for node in nodes]
        met_at = 0.0

        def all_know_all() -> bool:
            nonlocal met_at
            known = [connected_ports(link) for link in links]
            if time.monotonic() - met_at > MEET_AGAIN_SECONDS:
                met_at = time.monotonic()
                for place, link in enumerate(links):
                    for other in nodes[place + 1 :]:
                        if other.port not in known[place]:
                            link.call("CLUSTER", "MEET", LOCALHOST, other.port)
            return all(len(ports) == len(nodes) for ports in known)

        eventually(all_know_all, within=within, every=0.02)
