"""Slots that move under work: nothing is missed, nothing comes back."""

import asyncio

import pytest

from langcache_cli.caching import cached_many
from langcache_cli.caching._deployment.cluster.slots import slot_of
from langcache_cli.caching._protocol.lease import new_lease
from langcache_cli.caching._protocol.store import Seen
from langcache_cli.caching._protocol.tagged_leases import acquire_one
from langcache_cli.caching._wire.budget import Budget
from tests.harness.resp import RespError
from tests.harness.shared_redis import SharedCluster, calls_of
from tests.integration.cache_support import Database

ENTRIES = 400


@pytest.fixture
async def cache(open_cache, redis_cluster):
    return open_cache(redis_cluster.url)


def elsewhere(cluster, key):
    """A primary that does not have a key."""
    return next(node for node in cluster.primaries if node is not cluster.node_of(key))


async def test_entries_are_hits_before_during_and_after_a_move(cache, redis_cluster):
    database = Database(cache)
    for item in range(50):
        await database.read(item)
    key = database.read.key_for(7)
    moving = asyncio.create_task(
        asyncio.to_thread(redis_cluster.migrate, slot_of(key), elsewhere(redis_cluster, key))
    )
    while not moving.done():
        assert await database.read(7) == [7, 0]
    await moving
    assert await asyncio.gather(*map(database.read, range(50))) == [[item, 0] for item in range(50)]
    assert database.reads.total() == 50


async def test_a_key_that_a_lost_migrate_left_on_both_nodes_is_removed_from_both(cache, redis_cluster):
    """MIGRATE may have copied a key while its answer was lost: then the source still has it, too."""
    database = Database(cache)
    await database.read(7)
    key = database.read.key_for(7)
    source, target = redis_cluster.node_of(key), elsewhere(redis_cluster, key)

    def copy_and_fail():
        dumped = source.command("DUMP", key)
        with target.connect() as connection:
            connection.call("ASKING")
            connection.call("RESTORE", key, 0, dumped)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        await asyncio.to_thread(redis_cluster.migrate, slot_of(key), target, pause=copy_and_fail)
    assert await database.read.invalidate(7)
    with target.connect() as connection:
        connection.call("ASKING")
        assert connection.call("EXISTS", key) == 0
    with pytest.raises(RespError, match="ASK"):  # what it says of a key that it does not have
        source.command("EXISTS", key)


async def test_a_pattern_misses_no_key_while_slots_move(cache, redis_cluster):
    database = Database(cache)
    await asyncio.gather(*map(database.read, range(ENTRIES)))
    keys = [database.read.key_for(item) for item in range(ENTRIES)]
    slots = sorted({slot_of(key) for key in keys})[:60]
    ended = asyncio.Event()

    def move() -> None:
        for number, slot in enumerate(slots):
            if ended.is_set():
                return
            others = [node for node in redis_cluster.primaries if node is not redis_cluster.owner(slot)]
            redis_cluster.migrate(slot, others[number % len(others)])

    moving = asyncio.create_task(asyncio.to_thread(move))
    await asyncio.sleep(0)
    await cache.invalidate("cache:vocabulary:*")
    ended.set()
    await moving
    assert not cache.pending_invalidations
    assert sum(redis_cluster.command("EXISTS", key) for key in keys) == 0


async def test_an_entry_that_is_newer_than_the_versions_seen_is_not_replaced(cache, redis_cluster):
    """Its tag was read before an invalidation, and the entry itself after it, from another node."""
    database = Database(cache, tags=("word:{item}",))
    await database.read(7)
    key = database.read.key_for(7)
    runtime = cache.runtime()
    (tag_key,) = database.read.spec.key_and_tags("cache", 7)[1:]
    stored = redis_cluster.command("GET", key)
    seen = Seen(stored, ("an older version",))
    lease, found = await acquire_one(
        runtime.store, new_lease(key), (tag_key,), Budget(5.0), ttl_ms=60_000, seen=seen
    )
    assert found == stored
    assert Seen(found, lease.tag_versions).parse() is not None
    assert redis_cluster.command("GET", key) == stored
    redis_cluster.command("DEL", tag_key)
    lease, found = await acquire_one(
        runtime.store, new_lease(key), (tag_key,), Budget(5.0), ttl_ms=60_000, seen=seen
    )
    assert found is None  # outdated indeed: the lease was taken


async def test_calls_for_many_items_find_what_is_on_all_nodes(cache, redis_cluster):
    calls = []

    @cache.cached(key_prefix="vocabulary", tags=("word:{item}",))
    async def word(item: int) -> int:
        return item

    @cached_many(word, each="items")
    async def words(items: list[int]) -> list[int]:
        calls.append(sorted(items))
        return items

    assert await words(list(range(30))) == list(range(30))
    await cache.invalidate_tags(*[f"word:{item}" for item in range(0, 30, 2)])
    assert await words(list(range(30))) == list(range(30))
    assert calls == [list(range(30)), list(range(0, 30, 2))]


async def test_what_many_calls_of_a_turn_want_is_asked_for_once(cache, redis_cluster):
    database = Database(cache, tags=("word:{item}", "all"))
    await asyncio.gather(*map(database.read, range(30)))
    await database.read(0)  # the end of a row of misses, after which a call begins with its lease
    nodes = SharedCluster(redis_cluster)
    gets, scripts = calls_of(nodes, "get", "mget"), calls_of(nodes, "evalsha", "eval")
    values = await asyncio.gather(*(database.read(item) for item in range(30) for _ in range(3)))
    assert values == [[item, 0] for item in range(30) for _ in range(3)]
    n_keys = 30 + 30 + 1
    assert (
        n_keys <= calls_of(nodes, "get", "mget") - gets <= n_keys + len(redis_cluster.primaries)
    )  # witnesses
    assert calls_of(nodes, "evalsha", "eval") == scripts
