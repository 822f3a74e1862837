"""What one node of a cluster says about itself and the others, and what it is told to do."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from tests.harness.ports import LOCALHOST
from tests.harness.redis_server import RedisServer
from tests.harness.resp import RespConnection, RespError

SLOTS = 16384
MIGRATE_MS = 5000

_ELECTED = re.compile(r"(\d+ \w{3} \d{4} \d\d:\d\d:\d\d\.\d+) # Failover election won")


def share(place: int, count: int) -> range:
    """The slots of one of so many primaries, when all have as many."""
    return range(place * SLOTS // count, (place + 1) * SLOTS // count)


def slot_rows(node: RedisServer) -> list[Any]:
    rows: Any = node.command("CLUSTER", "SLOTS")
    return rows


def node_id(node: RedisServer) -> str:
    found: Any = node.command("CLUSTER", "MYID")
    return found.decode()


def is_ok(node: RedisServer) -> bool:
    info: Any = node.command("CLUSTER", "INFO")
    return b"cluster_state:ok" in info


def is_linked(replica: RedisServer) -> bool:
    info: Any = replica.command("INFO", "replication")
    return b"role:slave" in info and b"master_link_status:up" in info


def becomes_replica(node: RedisServer, primary_id: str) -> bool:
    try:
        return node.command("CLUSTER", "REPLICATE", primary_id) == "OK"
    except RespError as error:  # the node has not heard yet that the other is a primary
        if "Unknown node" in str(error) or "only replicate a master" in str(error):
            return False
        raise


def connected_ports(link: RespConnection) -> set[int]:
    """The ports of the nodes that a node is connected to, its own included."""
    text: Any = link.call("CLUSTER", "NODES")
    lines = [line.split() for line in text.decode().splitlines()]
    return {
        int(line[1].partition("@")[0].rpartition(":")[2])
        for line in lines
        if "handshake" not in line[2] and line[7] == "connected"
    }


def open_slots(link: RespConnection) -> Iterator[int]:
    """The slots that a node is giving or taking: `[SLOT->-ID]` and `[SLOT-<-ID]` in its own line."""
    text: Any = link.call("CLUSTER", "NODES")
    for line in text.decode().splitlines():
        for word in line.split()[8:]:
            if word.startswith("["):
                yield int(word[1:].partition("-")[0])


def keys_in(link: RespConnection, slot: int, count: int = 1000) -> list[bytes]:
    """Keys of a slot, at most so many."""
    keys: Any = link.call("CLUSTER", "GETKEYSINSLOT", slot, count)
    return list(keys)


def write_once(primary: RedisServer) -> None:
    """Write and delete some key that lies on this node."""
    with primary.connect() as connection:
        for number in range(1000):
            try:
                connection.call("SET", f"first-{number}", "")
                connection.call("DEL", f"first-{number}")
            except RespError as error:
                if not str(error).startswith(("MOVED", "CLUSTERDOWN")):  # it may not know the owner yet
                    raise
            else:
                return
    raise AssertionError("no key of a thousand lies on this node")


def was_elected_within(node: RedisServer, seconds: float) -> bool:
    """True if a node has won an election in the last seconds."""
    won = _ELECTED.findall(node.log)
    if not won:
        return False
    return datetime.now() - datetime.strptime(won[-1], "%d %b %Y %H:%M:%S.%f") < timedelta(seconds=seconds)  # noqa: DTZ005, DTZ007 - the log has local time, too


def move_keys(giving: RespConnection, slot: int, to: RedisServer, pause: Callable[[], object]) -> int:
    """Move the keys of a slot one by one, with `pause` after each; returns how many there were."""
    moved = 0
    while keys := keys_in(giving, slot, 1):
        giving.call("MIGRATE", LOCALHOST, to.port, keys[0], 0, MIGRATE_MS, "REPLACE")
        moved += 1
        pause()
    return moved
