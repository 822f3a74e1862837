"""What the log says of a node of a cluster that is lost, and when it is back or replaced."""

import asyncio
import re

from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, cache_at
from tests.integration.cluster_support import one_on_each

LOST = r"The node {node} of the cluster is lost, and calls run their functions until it is back: .*\(redis://{node}/0\)"
BACK = r"The node {node} of the cluster is back after \d+\.\d s; (\d+) calls went without it"
REPLACED = (
    r"The node {node} of the cluster is no longer needed, as other nodes have its slots, after \d+\.\d s; .*"
)


def lines(caplog) -> list[str]:
    return [text for text in caplog.messages if text.startswith(("Redis is", "The node"))]


def is_line(pattern: str, node, text: str) -> re.Match[str] | None:
    return re.fullmatch(pattern.format(node=re.escape(f"127.0.0.1:{node.port}")), text)


async def is_told(database: Database, item: int, caplog) -> bool:
    """Whether the end of the outage has been told; calls go on meanwhile."""
    await database.read(item)
    return len(lines(caplog)) > 1


async def test_a_node_that_is_lost_and_back_is_one_line_each(bare_cluster, open_cache, caplog):
    # each of the first three calls to the node waits as long
    database = Database(open_cache(bare_cluster.url, operation_timeout=2.0))
    item, other, _ = one_on_each(bare_cluster, database)
    await database.read(item)
    node = bare_cluster.primaries[0]
    bare_cluster.stop(node)
    for _ in range(20):
        await database.read(item)
        await database.read(other)
    (lost,) = lines(caplog)
    assert is_line(LOST, node, lost)
    bare_cluster.cont(node)
    await aeventually(lambda: is_told(database, item, caplog))
    lost, back = lines(caplog)
    found = is_line(BACK, node, back)
    assert found
    assert int(found[1]) >= 10


def test_a_lost_node_is_told_once_for_all_event_loops(bare_cluster, caplog):
    cache = cache_at(bare_cluster.url)
    database = Database(cache)
    item = one_on_each(bare_cluster, database)[0]
    node = bare_cluster.primaries[0]
    bare_cluster.kill(node)
    for _ in range(3):
        asyncio.run(database.read(item))
    assert len(lines(caplog)) == 1
    bare_cluster.start(node)
    bare_cluster.settle()
    asyncio.run(database.read(item))
    assert len(lines(caplog)) == 2


async def test_a_node_that_was_replaced_is_told(redis_cluster, open_cache, caplog):
    database = Database(open_cache(redis_cluster.url))
    item = one_on_each(redis_cluster, database)[0]
    await database.read(item)
    node = redis_cluster.primaries[0]
    redis_cluster.kill(node)

    await aeventually(lambda: is_told(database, item, caplog), within=30)
    lost, replaced = lines(caplog)
    assert is_line(LOST, node, lost)
    assert is_line(REPLACED, node, replaced)


async def test_the_end_of_a_replica_is_no_outage(redis_cluster, open_cache, caplog):
    replica = redis_cluster.replicas_of(redis_cluster.primaries[0])[0]
    url = f"redis+cluster://127.0.0.1:{replica.port},127.0.0.1:{redis_cluster.primaries[0].port}"
    redis_cluster.kill(replica)
    database = Database(open_cache(url))
    for item in one_on_each(redis_cluster, database):
        await database.read(item)
    assert lines(caplog) == []
