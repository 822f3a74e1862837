"""What another node must have, too: the invalidations of the last minute, where slots have another owner."""

import asyncio

import pytest

from langcache_cli.caching._deployment.cluster.slots import slot_of
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database
from tests.integration.cluster_support import counted, items_on, one_on_each, pending, replaced


@pytest.fixture
async def cache(open_cache, redis_cluster):
    return open_cache(redis_cluster.url, operation_timeout=1.0)


def is_lost(cluster, key, old) -> bool:
    """As if its owner had never been told of the invalidation: it has the old entry."""
    return cluster.command("SET", key, old) == b"OK"


async def invalidated(cluster, database, item) -> bytes:
    """Invalidate an item; returns its old entry."""
    await database.read(item)
    old = cluster.command("GET", database.read.key_for(item))
    database.versions[item] = 1
    assert await database.read.invalidate(item)
    return old


@pytest.mark.parametrize("how", ["failover", "migrate"])
async def test_keys_are_sent_again_where_slots_have_got_another_owner(cache, redis_cluster, how):
    database = Database(cache)
    moved, stays, _ = one_on_each(redis_cluster, database)
    keys = {item: database.read.key_for(item) for item in (moved, stays)}
    old = {item: await invalidated(redis_cluster, database, item) for item in keys}
    source = redis_cluster.node_of(keys[moved])
    if how == "failover":
        await asyncio.to_thread(redis_cluster.failover, source)
    else:
        target = redis_cluster.node_of(keys[stays])
        await asyncio.to_thread(redis_cluster.migrate, slot_of(keys[moved]), target)
    for item, key in keys.items():
        is_lost(redis_cluster, key, old[item])
    delivered = counted(cache, "delivered")
    other = next(item for item in items_on_slot_of(database, keys[moved], how, source, redis_cluster))
    await database.read(other)  # learns of the new owner
    assert await database.read(moved) == [moved, 1]
    await aeventually(lambda: not cache.pending_invalidations)
    assert redis_cluster.command("GET", keys[moved]) != old[moved]
    assert redis_cluster.command("GET", keys[stays]) == old[stays]
    assert sum(delivered) == 1


def items_on_slot_of(database, key, how, source, cluster):
    """Items whose look-up shows that a slot has moved."""
    if how == "failover":
        return items_on(cluster, database, cluster.node_of(key))
    return (item for item in range(10**6) if slot_of(database.read.key_for(item)) == slot_of(key))


async def test_a_selection_is_sent_again_only_to_the_new_owner(cache, redis_cluster):
    database = Database(cache)
    items = one_on_each(redis_cluster, database)
    keys = [database.read.key_for(item) for item in items]
    old = []
    for item, key in zip(items, keys, strict=True):
        await database.read(item)
        old.append(redis_cluster.command("GET", key))
        database.versions[item] = 1
    assert await cache.invalidate("cache:vocabulary:*") == len(items)
    await asyncio.to_thread(redis_cluster.failover, redis_cluster.node_of(keys[0]))
    for key, data in zip(keys, old, strict=True):
        is_lost(redis_cluster, key, data)
    delivered = counted(cache, "delivered")
    # by the whole map: MOVED would say it of one slot, which might be delivered before the others are known
    topology, slot = cache.runtime().server.topology, slot_of(keys[0])
    replaced_node = topology.slots[slot]

    def is_known() -> bool:
        topology.refresh_soon()  # again: the node that is asked may not know it yet
        return topology.slots[slot] is not replaced_node

    await aeventually(is_known, within=30)
    await aeventually(lambda: is_current(database, items[0]))
    await aeventually(lambda: not cache.pending_invalidations)
    assert sum(delivered) == 1
    assert redis_cluster.command("GET", keys[0]) != old[0]
    assert [redis_cluster.command("GET", key) for key in keys[1:]] == old[1:]


async def is_current(database, item) -> bool:
    return await database.read(item) == [item, 1]


@pytest.mark.parametrize("what", ["key", "pattern"])
async def test_what_a_killed_primary_has_confirmed_and_not_passed_on_does_not_come_back(
    cache, redis_cluster, what
):
    """Its replica is cut off, and never gets the UNLINK; nobody calls while it takes over."""
    database = Database(cache)
    node = redis_cluster.primaries[0]
    replica = redis_cluster.replicas_of(node)[0]
    lost, other = next(items_on(redis_cluster, database, node)), one_on_each(redis_cluster, database)[1]
    for item in (lost, other):
        await database.read(item)
    key = database.read.key_for(lost)
    await aeventually(lambda: has_replicated(node, replica))
    redis_cluster.stop(replica)
    node.command("CLIENT", "KILL", "TYPE", "replica")
    database.versions[lost] = 1
    if what == "key":
        assert await database.read.invalidate(lost)
    else:
        assert await cache.invalidate(f"{key}*") is not None
    redis_cluster.kill(node)
    redis_cluster.cont(replica)
    await replaced(redis_cluster, node, slot_of(key))
    await aeventually(lambda: redis_cluster.command("EXISTS", key) == 0, within=60)
    await aeventually(lambda: not cache.pending_invalidations, within=60)
    assert await database.read(lost) == [lost, 1]
    assert await database.read(other) == [other, 0]
    assert database.reads[other] == 1


def has_replicated(node, replica) -> bool:
    return node.command("DBSIZE") == replica.command("DBSIZE")


async def test_a_new_event_loop_sends_nothing_again_to_the_same_nodes(cache, redis_cluster):
    database = Database(cache)
    for item in one_on_each(redis_cluster, database):
        await invalidated(redis_cluster, database, item)
    await cache.invalidate("cache:nothing:*")
    deferred = counted(cache, "deferred")

    async def elsewhere() -> None:
        for item in one_on_each(redis_cluster, database):
            await database.read(item)
        assert not pending(cache)
        await cache.aclose()

    await asyncio.to_thread(asyncio.run, elsewhere())
    assert deferred == []


async def test_a_node_that_was_restarted_gets_its_own_keys_again(cache, redis_cluster):
    database = Database(cache)
    items = one_on_each(redis_cluster, database)
    for item in items:
        await invalidated(redis_cluster, database, item)
    node = redis_cluster.node_of(database.read.key_for(items[0]))
    delivered = counted(cache, "delivered")
    redis_cluster.kill(node)
    redis_cluster.start(node)
    await aeventually(lambda: sum(delivered) == 1 and not cache.pending_invalidations, within=30)
