"""Invalidations on a cluster: a node that is away keeps only what it has to confirm itself."""

import asyncio

import pytest

from langcache_cli.caching import Cache, CacheUnavailableError
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database
from tests.integration.cluster_support import counted, items_on, one_on_each, pending

QUICK = {"operation_timeout": 0.5}


@pytest.fixture
def cluster(bare_cluster):
    return bare_cluster


@pytest.fixture
def cache(open_cache, cluster) -> Cache:
    return open_cache(cluster.url, **QUICK)


async def is_confirmed(cache: Cache) -> None:
    await aeventually(lambda: not cache.pending_invalidations, within=60)


async def test_only_calls_of_the_unconfirmed_key_run_their_function(cache, cluster):
    database = Database(cache)
    away, *others = one_on_each(cluster, database)
    for item in (away, *others):
        await database.read(item)
    node = cluster.node_of(database.read.key_for(away))
    cluster.stop(node)
    database.versions[away] = 1
    assert not await database.read.invalidate(away)
    for _ in range(20):
        assert await database.read(away) == [away, 1]
        assert await asyncio.gather(*map(database.read, others)) == [[item, 0] for item in others]
    assert pending(cache) == {database.read.key_for(away)}
    assert [database.reads[item] for item in others] == [1, 1]
    assert database.reads[away] == 21
    cluster.cont(node)
    await is_confirmed(cache)
    assert await database.read(away) == await database.read(away) == [away, 1]


async def test_an_unconfirmed_tag_concerns_its_entries_on_all_nodes(cache, cluster):
    database = Database(cache, tags=("word:{item}",))
    tag_keys = {item: database.read.spec.key_and_tags("cache", item)[1] for item in range(60)}
    node = cluster.primaries[0]
    on_others = [item for item in range(60) if cluster.node_of(database.read.key_for(item)) is not node]
    away = next(item for item in on_others if cluster.node_of(tag_keys[item]) is node)
    here = next(item for item in on_others if cluster.node_of(tag_keys[item]) is not node)
    await database.read(away)
    await database.read(here)
    cluster.stop(node)
    database.versions[away] = 1
    await cache.invalidate_tags(f"word:{away}")
    cluster.cont(node)
    while cache.pending_invalidations:
        assert await database.read(away) == [away, 1]
        assert await database.read(here) == [here, 0]
    assert await database.read(away) == [away, 1]
    assert database.reads[here] == 1


async def test_a_pattern_waits_only_for_the_slots_of_the_node_that_is_away(cache, cluster):
    database, unrelated = Database(cache), Database(cache, prefix="user_stats")
    away, *others = one_on_each(cluster, database)
    node = cluster.node_of(database.read.key_for(away))
    unrelated_item = next(items_on(cluster, unrelated, cluster.primaries[1]))
    for item in (away, *others):
        await database.read(item)
    await unrelated.read(unrelated_item)
    cluster.stop(node)
    for item in (away, *others):
        database.versions[item] = 1
    await cache.invalidate("cache:vocabulary:*")
    assert cache.pending_invalidations == 1
    for _ in range(2):
        assert await database.read(away) == [away, 1]
        assert await asyncio.gather(*map(database.read, others)) == [[item, 1] for item in others]
        assert await unrelated.read(unrelated_item) == [unrelated_item, 0]
    await aeventually(lambda: is_a_hit(database, others[0]), within=60)
    assert cache.pending_invalidations == 1
    assert unrelated.reads[unrelated_item] == 1
    cluster.cont(node)
    await is_confirmed(cache)
    assert await database.read(away) == [away, 1]
    assert cluster.command("EXISTS", database.read.key_for(others[0])) == 1


async def is_a_hit(database: Database, item: int) -> bool:
    before = database.reads[item]
    await database.read(item)
    return database.reads[item] == before


async def test_what_was_reached_is_counted_and_only_the_rest_is_kept(cache, cluster):
    database = Database(cache)
    items = list(range(30))
    await asyncio.gather(*map(database.read, items))
    keys = [database.read.key_for(item) for item in items]
    node = cluster.primaries[0]
    away = {key for key in keys if cluster.node_of(key) is node}
    cluster.stop(node)
    deferred = counted(cache, "deferred")
    assert await cache.invalidate_keys(keys) == len(keys) - len(away)
    assert pending(cache) == away
    assert sum(deferred) == len(away)
    cluster.cont(node)
    await is_confirmed(cache)
    assert not sum(cluster.command("EXISTS", key) for key in keys)


async def test_a_tool_gets_the_error_and_the_rest_is_removed(open_cache, cluster):
    tool = open_cache(cluster.url, defer_invalidations=False, **QUICK)
    database = Database(tool)
    away, here, _ = one_on_each(cluster, database)
    for item in (away, here):
        await database.read(item)
    keys = [database.read.key_for(item) for item in (away, here)]
    node = cluster.node_of(keys[0])
    cluster.stop(node)
    with pytest.raises(CacheUnavailableError):
        await tool.invalidate_keys(keys)
    assert cluster.command("EXISTS", keys[1]) == 0


async def test_a_delivery_confirms_what_it_reaches(cache, cluster):
    database = Database(cache)
    items, primaries = one_on_each(cluster, database), cluster.primaries
    keys = [database.read.key_for(item) for item in items]
    for item in items:
        await database.read(item)
    for node in primaries[:2]:
        cluster.stop(node)
    assert await cache.invalidate_keys(keys) == 1
    for place, node in enumerate(primaries[:2]):
        assert pending(cache) == set(keys[place:2])
        cluster.cont(node)
        await aeventually(lambda place=place: pending(cache) == set(keys[place + 1 : 2]), within=60)


async def test_closing_delivers_to_the_nodes_that_answer(open_cache, cluster, caplog):
    cache = open_cache(cluster.url, **QUICK)
    database = Database(cache)
    away, here, _ = one_on_each(cluster, database)
    for item in (away, here):
        await database.read(item)
    keys = [database.read.key_for(item) for item in (away, here)]
    node = cluster.node_of(keys[0])
    cluster.stop(node)
    cache.runtime().outbox.defer(keys)
    await cache.aclose()
    assert "1 invalidations were not delivered" in caplog.text
    assert cluster.command("EXISTS", keys[1]) == 0
    cluster.cont(node)
    await aeventually(lambda: is_confirmed_after_a_call(database, away), within=60)


async def is_confirmed_after_a_call(database: Database, item: int) -> bool:
    await database.read(item)
    return not database.cache.pending_invalidations
