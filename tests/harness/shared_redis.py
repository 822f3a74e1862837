"""What the tests of a worker share: one server, or a cluster or Sentinel set that a test can use like one.

`LANGCACHE_TEST_TOPOLOGY` says which: `one`, the default, `cluster`, or `sentinel`. With
`LANGCACHE_TEST_ACL=1` its URL logs in as the smallest user of the documents, at the sentinels, too.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.harness.acl import is_asked_for, smallest_user
from tests.harness.redis_cluster import RedisCluster
from tests.harness.redis_server import RedisServer
from tests.harness.resp import Argument, Reply
from tests.harness.sentinels import SentinelSet

TOPOLOGIES = ("one", "cluster", "sentinel")
PRIMARIES = 2
"""Without replicas: enough for keys and tags to lie on different nodes, and quick to flush."""

NODE_TIMEOUT_MS = 15_000
"""No test stops a node of what is shared: a busy machine must not look like an outage."""

ON_EVERY_NODE = {"CLIENT", "CONFIG", "DBSIZE", "FLUSHALL", "FLUSHDB", "INFO", "KEYS", "SCRIPT"}
KEY_BY_KEY = {"DEL": 1, "EXISTS": 1, "MGET": 1, "MSET": 2, "UNLINK": 1}
"""Commands that take keys of several slots, and how many arguments belong to each key."""

FILL = """
local stored = 0
for number = 1, tonumber(ARGV[1]) do
  local reply = redis.pcall('SET', ARGV[2] .. number, 'lc1 entry')  -- an error: of a slot of another node
  if reply.ok then stored = stored + 1 end
end
return stored
"""


class SharedCluster:
    """A cluster whose commands may be about any keys, as those to one server."""

    def __init__(self, cluster: RedisCluster) -> None:
        self._cluster = cluster

    @property
    def url(self) -> str:
        return self._cluster.url

    @property
    def nodes(self) -> list[RedisServer]:
        """Those that have keys."""
        return self._cluster.nodes

    def command(self, *arguments: Argument, timeout: float = 5.0) -> Reply:
        """Send a command to where its keys are; counts are summed, lists joined.

        Of commands about the server every node executes its own. See `RedisServer.command`.
        """
        name = str(arguments[0]).upper()
        if name in ON_EVERY_NODE:
            return _joined([node.command(*arguments, timeout=timeout) for node in self.nodes])
        if (width := KEY_BY_KEY.get(name)) is None:
            return self._cluster.command(*arguments, timeout=timeout)
        parts = [arguments[place : place + width] for place in range(1, len(arguments), width)]
        return _joined([self._cluster.command(name, *part, timeout=timeout) for part in parts])

    def flush(self) -> None:
        """See `RedisServer.flush`."""
        self._cluster.flush()


class SharedSentinels:
    """A Sentinel set; commands go to its primary."""

    def __init__(self, sentinels: SentinelSet) -> None:
        self._sentinels = sentinels

    @property
    def url(self) -> str:
        return self._sentinels.url

    @property
    def sentinels(self) -> Sequence[RedisServer]:
        """Those that watch over it."""
        return self._sentinels.sentinels

    @property
    def nodes(self) -> list[RedisServer]:
        """The one that has the keys."""
        return self._sentinels.nodes[:1]

    def command(self, *arguments: Argument, timeout: float = 5.0) -> Reply:
        """See `RedisServer.command`."""
        return self.nodes[0].command(*arguments, timeout=timeout)

    def flush(self) -> None:
        """See `RedisServer.flush`."""
        self._sentinels.flush()


Shared = RedisServer | SharedCluster | SharedSentinels


def topology() -> str:
    """What `LANGCACHE_TEST_TOPOLOGY` says."""
    chosen = os.environ.get("LANGCACHE_TEST_TOPOLOGY") or TOPOLOGIES[0]
    if chosen not in TOPOLOGIES:
        raise ValueError(f"LANGCACHE_TEST_TOPOLOGY={chosen}: it must be one of {', '.join(TOPOLOGIES)}")
    return chosen


@contextmanager
def shared_redis(one: RedisServer) -> Iterator[Shared]:
    """Start what the tests of this worker share; `one` is the server of those that need a single one."""
    match topology():
        case "cluster":
            with RedisCluster(PRIMARIES, replicas=0, node_timeout=NODE_TIMEOUT_MS) as cluster:
                yield SharedCluster(cluster)
        case "sentinel":
            with SentinelSet(down_after=NODE_TIMEOUT_MS, replicas=1) as sentinels:
                yield SharedSentinels(sentinels)
        case _:
            yield one


def url_of(shared: Shared) -> str:
    """The URL of what is shared, for tests of the cache; see `LANGCACHE_TEST_ACL`."""
    return smallest_user(shared) if is_asked_for() else shared.url


def nodes_of(shared: Shared) -> list[RedisServer]:
    """The servers that have the keys."""
    return [shared] if isinstance(shared, RedisServer) else shared.nodes


def calls_of(shared: Shared, *commands: str) -> int:
    """How many of these commands were executed since the last flush."""
    found = 0
    for node in nodes_of(shared):
        info: Any = node.command("INFO", "commandstats")
        for line in info.decode().splitlines():
            name, _, numbers = line.partition(":calls=")
            if name.removeprefix("cmdstat_") in commands:
                found += int(numbers.partition(",")[0])
    return found


def clients_of(shared: Shared) -> int:
    """How many connections there are, but for those that ask, and of replicas and sentinels."""
    found = 0
    for node in nodes_of(shared):
        lines: Any = node.command("CLIENT", "LIST")
        found += sum(not _is_member(line) for line in lines.decode().splitlines()) - 1
    return found


def fill(shared: Shared, count: int, stem: str) -> None:
    """Store entries under `stem` with the numbers from 1 to `count`, within a moment."""
    stored: list[Any] = [node.command("EVAL", FILL, 0, count, stem, timeout=30) for node in nodes_of(shared)]
    assert sum(stored) == count, stored


def _is_member(client: str) -> bool:
    facts = dict(word.partition("=")[::2] for word in client.split())
    return facts["name"].startswith("sentinel-") or bool(set(facts["flags"]) & {"M", "S"})


def _joined(replies: list[Any]) -> Reply:
    first = replies[0]
    if isinstance(first, int):
        return sum(replies)
    if isinstance(first, list):
        return [item for reply in replies for item in reply]
    if isinstance(first, bytes) and len(replies) > 1:
        return b"\n".join(replies)
    return first
