"""A node that is away takes its own keys along and nothing else: the cluster here has no replicas."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.harness.polling import aeventually
from tests.harness.redis_cluster import RedisCluster
from tests.harness.redis_server import RedisServer
from tests.harness.resp import RespError
from tests.integration.cache_support import Database
from tests.integration.outage import BUDGET, MARGIN, is_hit, timed

NODE_TIMEOUT_MS = 60_000
"""No test takes so long: the other nodes do not say that the cluster is down."""

KEYS_EACH = 20
AGAIN_SECONDS = 10.0


@pytest.fixture(scope="module")
def cluster_of_three() -> Iterator[RedisCluster]:
    # loading from a snapshot takes as long as the test wants: so many microseconds for each key
    lines = ("cluster-require-full-coverage no", "key-load-delay 50000", "rdbcompression no")
    with RedisCluster(3, replicas=0, node_timeout=NODE_TIMEOUT_MS, config=lines) as cluster:
        yield cluster


@pytest.fixture
def cluster(cluster_of_three: RedisCluster) -> RedisCluster:
    cluster_of_three.flush()
    return cluster_of_three


@pytest.fixture
def database(open_cache, cluster) -> Database:
    return Database(open_cache(cluster.url, operation_timeout=BUDGET))


def items_on(cluster: RedisCluster, database: Database, node: RedisServer) -> list[int]:
    """Items whose keys are on a node."""
    found = (item for item in range(100_000) if cluster.node_of(database.read.key_for(item)) is node)
    return [next(found) for _ in range(KEYS_EACH)]


async def stored(cluster: RedisCluster, database: Database) -> tuple[list[int], list[int]]:
    """Entries are there: items of the first node, and of the others."""
    own, *others = [items_on(cluster, database, node) for node in cluster.nodes]
    rest = [item for items in others for item in items]
    for item in (*own, *rest):
        await aeventually(lambda item=item: is_hit(database, item))
    database.reads.clear()
    return own, rest


async def cost_under_the_budget(database: Database, own: list[int]) -> None:
    """Calls for keys of the node that is away: each gets its value, and soon none waits for the node."""
    answers = [await timed(database.read, item) for item in own]
    assert [value for value, _ in answers] == [[item, 0] for item in own]
    assert max(seconds for _, seconds in answers) < BUDGET + MARGIN
    assert sum(seconds for _, seconds in answers[len(own) // 2 :]) < BUDGET + MARGIN
    assert database.reads == dict.fromkeys(own, 1)


async def are_hits(database: Database, items: list[int]) -> None:
    before = database.reads.copy()
    answers = [await timed(database.read, item) for item in items]
    assert [value for value, _ in answers] == [[item, 0] for item in items]
    assert max(seconds for _, seconds in answers) < BUDGET + MARGIN
    assert database.reads == before


async def are_back(database: Database, items: list[int]) -> None:
    for item in items:
        await aeventually(lambda item=item: is_hit(database, item), within=AGAIN_SECONDS)


async def test_a_stopped_node_leaves_the_others_alone_and_is_back_after_it_wakes(cluster, database):
    own, rest = await stored(cluster, database)
    cluster.stop(cluster.nodes[0])
    await are_hits(database, rest)
    await cost_under_the_budget(database, own)
    assert not database.cache.runtime().server.usable(database.read.key_for(own[0]))
    await are_hits(database, rest)
    cluster.cont(cluster.nodes[0])
    await are_back(database, own)


async def test_calls_at_once_for_a_stopped_node_and_for_others(cluster, database):
    own, rest = await stored(cluster, database)
    cluster.stop(cluster.nodes[0])
    answers = await asyncio.gather(*(timed(database.read, item) for item in (*own, *rest)))
    assert [value for value, _ in answers] == [[item, 0] for item in (*own, *rest)]
    assert max(seconds for _, seconds in answers) < BUDGET + MARGIN
    assert database.reads == dict.fromkeys(own, 1)
    cluster.cont(cluster.nodes[0])
    await are_back(database, own)


async def test_a_killed_node_leaves_the_others_alone_and_is_used_when_it_runs_again(cluster, database):
    own, rest = await stored(cluster, database)
    cluster.kill(cluster.nodes[0])
    await are_hits(database, rest)
    await cost_under_the_budget(database, own)
    cluster.start(cluster.nodes[0])
    cluster.settle()
    await are_back(database, own)
    await are_hits(database, rest)


async def test_a_node_that_loads_its_data_is_away_and_the_others_are_not(cluster, database):
    own, rest = await stored(cluster, database)
    node = cluster.nodes[0]
    fill(cluster, node)
    node.command("SAVE")
    node.kill()
    node._spawn()  # `start` would wait until it is ready
    await aeventually(lambda: is_loading(node), within=AGAIN_SECONDS)
    await cost_under_the_budget(database, own)
    assert is_loading(node)
    await are_hits(database, rest)
    node.wait_ready(30)
    cluster.settle()
    await are_back(database, own)


def fill(cluster: RedisCluster, node: RedisServer) -> None:
    """Store 80 MB: a node answers between every two megabytes that it loads."""
    keys = [f"filler:{number}" for number in range(240)]
    with node.connect() as connection:
        for key in keys:
            if cluster.node_of(key) is node:
                connection.call("SET", key, b"x" * 2**20)


def is_loading(node: RedisServer) -> bool:
    try:
        node.command("PING")
    except RespError as error:
        return str(error).startswith("LOADING")
    except ConnectionError:
        return False
    return False
