"""The overview of a cluster of which one node is away: it says so, and shows what the others have."""

import pytest

from langcache_cli.caching import Cache, CacheUnavailableError
from langcache_cli.caching._statistics.fleet.field_names import id_of, part_of, parts_for
from langcache_cli.caching._statistics.fleet.history import History
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.operations.overview.collecting import CacheOverview
from tests.harness.polling import aeventually
from tests.harness.redis_cluster import RedisCluster
from tests.harness.redis_server import RedisServer

LABELS = [Label("vocabulary", "vocabulary", f"read_{number}") for number in range(16)]
PRIMARIES = range(3)


@pytest.fixture
def cache(open_cache, bare_cluster) -> Cache:
    return open_cache(bare_cluster.url, operation_timeout=0.5)


async def count(cache: Cache) -> None:
    """Count a hit of each function, and store an entry for each."""
    for label in LABELS:
        cache.statistics.add(label, "hits")
        await cache.set(f"vocabulary:{label.function}", 1)
    await cache.runtime().publisher.now()


def counted_on(cluster: RedisCluster, node: RedisServer) -> int:
    """How many of these hits are on a node."""
    parts = parts_for(len(LABELS))
    names = [f"{{{part_of(id_of(label), parts)}}}" for label in LABELS]
    return sum(cluster.node_of(name) is node for name in names)


@pytest.mark.parametrize("place", PRIMARIES)
async def test_it_is_about_the_others(cache, bare_cluster, place):
    await count(cache)
    node = bare_cluster.primaries[place]
    lost, others = counted_on(bare_cluster, node), [one for one in bare_cluster.primaries if one is not node]
    whole = await CacheOverview(cache).collect("1h")
    assert (whole["status"], whole["total"]["calls"]) == ("healthy", len(LABELS))

    bare_cluster.stop(node)
    partly = await CacheOverview(cache).collect("1h")
    assert partly["status"] == "degraded"
    assert f"127.0.0.1:{node.port} of the cluster: " in partly["error"]
    assert partly["findings"][0]["title"] == f"127.0.0.1:{node.port} of the cluster cannot be used"
    assert (partly["numbers"], partly["total"]["calls"]) == (True, len(LABELS) - lost)
    assert partly["keyspace"]["problem"] == f"Without the keys of 127.0.0.1:{node.port}."
    assert partly["keyspace"]["database_keys"] == sum(one.command("DBSIZE") for one in others)

    bare_cluster.cont(node)

    async def is_whole() -> bool:
        document = await CacheOverview(cache).collect("1h")
        return document["status"] == "healthy" and document["total"]["calls"] == len(LABELS)

    await aeventually(is_whole, within=30)


async def test_without_the_names_of_the_functions_no_number_is_known(open_cache, bare_cluster, cache):
    await count(cache)
    bare_cluster.stop(bare_cluster.node_of("cache@stats:labels"))
    document = await CacheOverview(open_cache(bare_cluster.url, operation_timeout=0.5)).collect("1h")
    assert (document["status"], document["numbers"], document["total"]["calls"]) == ("degraded", False, 0)


async def test_a_step_that_was_read_meanwhile_is_read_again(cache, bare_cluster):
    await count(cache)
    runtime = cache.runtime()
    ahead = 300_000  # so that the counts are in a step that has ended
    history = History(
        runtime.fleet.reader, window_seconds=3600, step_seconds=60, now_ms=lambda: runtime.now_ms() + ahead
    )
    node = max(bare_cluster.primaries, key=lambda one: counted_on(bare_cluster, one))
    bare_cluster.stop(node)
    await runtime.bulk_server.notice_lost_nodes(0.2)
    partly = await history.read()
    assert isinstance(partly.unread, CacheUnavailableError)
    assert len(partly.total.keys() & {*LABELS}) == len(LABELS) - counted_on(bare_cluster, node)
    assert not partly.final

    bare_cluster.cont(node)
    whole = await aeventually(lambda: _whole(history), within=30)
    assert whole.total.keys() >= {*LABELS}
    assert whole.final


async def _whole(history: History):
    steps = await history.read()
    return steps if steps.unread is None else None
