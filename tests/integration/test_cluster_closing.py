"""Closing a cache while one node of its cluster hangs: one budget for everything; the others get theirs."""

import asyncio
import time

import pytest

from langcache_cli.caching import Cache
from langcache_cli.caching._keys.selection import Selection
from tests.integration.cache_support import Database
from tests.integration.cluster_support import one_on_each

BUDGET_SECONDS = 2.5
ENOUGH = 1.75
"""Budgets: one for all that closing delivers, and some room for a busy machine."""


@pytest.fixture
def cluster(bare_cluster):
    return bare_cluster


@pytest.fixture
def cache(open_cache, cluster) -> Cache:
    return open_cache(cluster.url, operation_timeout=BUDGET_SECONDS)


@pytest.fixture
async def words(cache, cluster) -> Database:
    """A function with an entry on each node, whose counters are delivered."""
    database = Database(cache)
    for item in one_on_each(cluster, database):
        await database.read(item)
    await cache.runtime().publisher.now()
    return database


async def close_in_time(cache: Cache) -> None:
    started = time.monotonic()
    await cache.aclose()
    assert time.monotonic() - started < ENOUGH * BUDGET_SECONDS


def left(cluster, database: Database) -> list[int]:
    """Which of the entries there are on the nodes that did not hang."""
    return [
        item
        for item in one_on_each(cluster, database)[1:]
        if cluster.command("EXISTS", database.read.key_for(item))
    ]


@pytest.mark.parametrize("what", ["keys", "pattern", "both"])
@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known to be away"])
async def test_what_is_unconfirmed_takes_one_budget_and_reaches_the_other_nodes(
    cache, cluster, words, what, known
):
    items = one_on_each(cluster, words)
    node = cluster.primaries[0]
    cluster.stop(node)
    if known:
        await words.read.invalidate(items[0])
    outbox = cache.runtime().outbox
    keys = [words.read.key_for(item) for item in items] if what != "pattern" else []
    outbox.defer([*keys, *([Selection("cache:*")] if what != "keys" else [])])
    await close_in_time(cache)
    assert outbox.waiting()
    cluster.cont(node)
    assert left(cluster, words) == []


async def test_a_periodic_delivery_of_counters_under_way_takes_no_time_of_its_own(cache, cluster, words):
    items = one_on_each(cluster, words)
    runtime = cache.runtime()
    node = cluster.node_of("cache@stats:{0}:from:")
    away, *others = sorted(items, key=lambda item: cluster.node_of(words.read.key_for(item)) is not node)
    for item in others:
        assert await words.read(item) == [item, 0]
    cluster.stop(node)
    runtime.spawn(runtime.publisher.now())
    await asyncio.sleep(0)
    runtime.outbox.defer([words.read.key_for(item) for item in items])
    await close_in_time(cache)
    assert set(runtime.outbox.waiting()) == {words.read.key_for(away)}
    assert cache.statistics_of(words.read)["hits"] == len(others)
