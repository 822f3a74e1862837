"""Which node is believed: one that was replaced while it was stopped is not, when it wakes up."""

import asyncio

import pytest

from langcache_cli.caching import CacheUnavailableError
from langcache_cli.caching._deployment.cluster.cluster_node import SILENT_SECONDS
from langcache_cli.caching._deployment.cluster.slots import slot_of
from langcache_cli.caching._wire.budget import Budget
from tests.harness.formed_servers import REPLACED_SECONDS
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, leftover_tasks
from tests.integration.cluster_support import replaced


@pytest.fixture
async def cache(open_cache, redis_cluster):
    return open_cache(redis_cluster.url, operation_timeout=1.0)


def key_on(cluster, database, node) -> int:
    """An item whose key is on a node."""
    return next(item for item in range(1000) if cluster.node_of(database.read.key_for(item)) is node)


async def be_silent(cache) -> None:
    """Wait until no node has answered for so long that it is believed only with a witness."""
    nodes = cache.runtime().server.topology.primaries
    await aeventually(lambda: all(node.is_silent for node in nodes), within=10 * SILENT_SECONDS)


async def is_refreshed(database, item) -> bool:
    """A cluster that heals says for a moment that it is down, and then so does `refresh`."""
    try:
        await database.read.refresh(item)
    except CacheUnavailableError:
        return False
    return True


async def stop_until_replaced(cluster, node, key) -> None:
    cluster.stop(node)
    await replaced(cluster, node, slot_of(key))


async def test_a_call_that_fails_leaves_no_witness_behind(open_cache, bare_cluster):
    database = Database(open_cache(bare_cluster.url, operation_timeout=0.2))
    server, node = database.cache.runtime().server, bare_cluster.primaries[0]
    item = key_on(bare_cluster, database, node)
    await database.read(item)
    for one in bare_cluster.primaries:
        bare_cluster.stop(one)
    for known in server.topology.primaries:
        known.heard_at = float("-inf")
    with pytest.raises(CacheUnavailableError):
        await server.call("EXISTS", database.read.key_for(item), budget=Budget(0.01))
    assert not [task for task in leftover_tasks() if task.startswith("langcache-witness")]


@pytest.mark.parametrize("first", ["look-up", "load"])
async def test_an_idle_process_does_not_read_a_primary_that_was_replaced_and_woke_up(
    open_cache, cache, redis_cluster, first
):
    database = Database(cache)
    node = redis_cluster.primaries[0]
    items = [item for item in range(200) if redis_cluster.node_of(database.read.key_for(item)) is node][:20]
    for item in items:
        await database.read(item)
    await be_silent(cache)
    key = database.read.key_for(items[0])
    await stop_until_replaced(redis_cluster, node, key)
    other = Database(open_cache(redis_cluster.url))
    for item in items:
        database.versions[item] = other.versions[item] = 1
        await other.read.invalidate(item)
    redis_cluster.cont(node)
    if first == "look-up":
        values = await asyncio.gather(*map(database.read, items))
    else:
        for item in items:
            await aeventually(lambda item=item: is_refreshed(database, item))
        values = [await database.read(item) for item in items]
    assert values == [[item, 1] for item in items]


async def test_an_invalidation_that_only_a_replaced_primary_took_is_not_confirmed(cache, redis_cluster):
    database = Database(cache)
    node = redis_cluster.primaries[0]
    item = key_on(redis_cluster, database, node)
    key = database.read.key_for(item)
    await database.read(item)
    await be_silent(cache)
    await stop_until_replaced(redis_cluster, node, key)
    assert redis_cluster.command("EXISTS", key) == 1
    redis_cluster.cont(node)
    await database.read.invalidate(item)
    await aeventually(lambda: not cache.pending_invalidations)
    assert redis_cluster.command("EXISTS", key) == 0


async def test_a_node_that_was_down_is_used_when_another_confirms_it(cache, redis_cluster):
    database = Database(cache)
    node = redis_cluster.primaries[0]
    item = key_on(redis_cluster, database, node)
    await database.read(item)
    redis_cluster.stop(node)
    server = cache.runtime().server

    async def is_known_to_be_down() -> bool:
        await database.read(item)
        return not server.usable(database.read.key_for(item))

    await aeventually(is_known_to_be_down, within=30)
    runs = database.reads[item]
    assert await database.read(item) == [item, 0]
    assert database.reads[item] == runs + 1
    redis_cluster.cont(node)

    async def is_used() -> bool:
        before = database.reads[item]
        await database.read(item)
        return database.reads[item] == before

    await aeventually(is_used, within=REPLACED_SECONDS)
