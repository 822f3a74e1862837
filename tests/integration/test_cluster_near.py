"""Entries in memory, of a cluster: each relies on the nodes of its key and of its tags, and on no other."""

import asyncio
import time
from itertools import count

import pytest

from langcache_cli.caching._deployment.cluster.cluster_node import SILENT_SECONDS
from langcache_cli.caching._deployment.cluster.slots import slot_of
from langcache_cli.caching._near.cluster import SLICE, ClusterNear
from langcache_cli.caching._near.generation import MAX_LAG_SECONDS
from tests.harness.polling import aeventually
from tests.harness.redis_cluster import RedisCluster
from tests.harness.shared_redis import SharedCluster, calls_of
from tests.integration.cache_support import Database
from tests.integration.cluster_support import items_on, one_on_each
from tests.integration.near_support import SEEN_WITHIN_SECONDS, kept, warmed

PATIENCE_SECONDS = 30.0


@pytest.fixture
def database(open_cache, bare_cluster) -> Database:
    return Database(open_cache(bare_cluster.url), tags=("word:{item}",), local_ttl=60)


def tag_of(item: int) -> str:
    return f"cache@tag:word:{item}"


def apart(cluster: RedisCluster, database: Database) -> int:
    """An item whose tag is on another node than its key."""
    return next(
        item
        for item in count()
        if cluster.node_of(database.read.key_for(item)) is not cluster.node_of(tag_of(item))
    )


def together(cluster: RedisCluster, database: Database, node) -> int:
    """An item of a node, and so is its tag."""
    return next(item for item in items_on(cluster, database, node) if cluster.node_of(tag_of(item)) is node)


def near_hits(database: Database) -> int:
    return database.cache.statistics_of(database.read).counts.get("near", 0)


async def is_served_from_memory(database: Database, item: int) -> bool:
    before = near_hits(database)
    await database.read(item)
    return near_hits(database) > before


async def is_new(database: Database, item: int, version: int) -> bool:
    return await database.read(item) == [item, version]


async def seen(database: Database, *items: int, version: int) -> None:
    for item in items:
        await aeventually(lambda item=item: is_new(database, item, version), within=SEEN_WITHIN_SECONDS)


async def test_a_hit_asks_no_node_however_long_it_goes_on(database, bare_cluster):
    """Longer than nodes are believed that have not answered: what proves them is no look-up."""
    items = one_on_each(bare_cluster, database)
    await warmed(database, *items)

    async def nothing_is_asked() -> bool:
        before = calls_of(SharedCluster(bare_cluster), "get", "pttl")
        ends = time.monotonic() + 3 * SILENT_SECONDS
        while time.monotonic() < ends:
            if not all([await is_served_from_memory(database, item) for item in items]):
                return False  # also on a machine that stands still for as long as it may lag
            await asyncio.sleep(0.01)
        return calls_of(SharedCluster(bare_cluster), "get", "pttl") == before

    await aeventually(nothing_is_asked, within=PATIENCE_SECONDS)


@pytest.mark.parametrize("name", ["key", "tag"])
async def test_a_change_by_another_process_is_seen_on_every_node(database, bare_cluster, name):
    items = one_on_each(bare_cluster, database)
    for version in range(1, 6):
        await warmed(database, *items)
        for item in items:
            database.versions[item] = version
            bare_cluster.command("DEL", database.read.key_for(item) if name == "key" else tag_of(item))
        await seen(database, *items, version=version)


async def test_a_tag_on_another_node_than_the_entry(database, bare_cluster, open_cache):
    item, other = apart(bare_cluster, database), open_cache(bare_cluster.url)
    for version in range(1, 6):
        await warmed(database, item)
        database.versions[item] = version
        await other.invalidate_tags(f"word:{item}")
        await seen(database, item, version=version)


@pytest.mark.parametrize("way", ["key", "tag", "pattern"])
async def test_this_process_sees_its_own_invalidation_at_once(database, bare_cluster, way):
    item = apart(bare_cluster, database)
    for version in range(1, 10):
        await warmed(database, item)
        database.versions[item] = version
        match way:
            case "key":
                await database.read.invalidate(item)
            case "tag":
                await database.cache.invalidate_tags(f"word:{item}")
            case "pattern":
                await database.cache.invalidate("cache:*")
        assert await database.read(item) == [item, version]


@pytest.mark.parametrize("change", ["FLUSHALL", "FLUSHDB", "CLIENT KILL"])
async def test_what_befalls_one_node_costs_only_what_relies_on_it(database, bare_cluster, change):
    flushed, *others = bare_cluster.primaries
    lost = together(bare_cluster, database, flushed)
    safe = [together(bare_cluster, database, node) for node in others]
    half = next(
        item
        for item in items_on(bare_cluster, database, others[0])
        if bare_cluster.node_of(tag_of(item)) is flushed
    )
    for version in range(1, 6):
        await warmed(database, lost, half, *safe)
        generations = {node: one.generation for node, one in followers_of(database).items()}
        for item in (lost, half):
            database.versions[item] = version
        with flushed.connect() as redis:
            if change == "CLIENT KILL":  # nobody is there to be told what changes then
                redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                redis.call("DEL", database.read.key_for(lost))
                redis.call("DEL", tag_of(half))
            else:
                redis.call(change)
        await seen(database, lost, half, version=version)
        after = {node: one.generation for node, one in followers_of(database).items()}
        for node in others:
            assert after[node.port] is generations[node.port]
        assert [await database.read(item) for item in safe] == [[item, 0] for item in safe]


def followers_of(database: Database) -> dict:
    """By the port of their nodes."""
    return {one.node.node.address.port: one for one in database.cache.runtime().near()._followers.values()}


async def test_a_message_that_names_many_keys(database, bare_cluster, monkeypatch):
    pushed = []
    on_changes = ClusterNear._on_changes

    def spy(near, connection, keys) -> None:
        pushed.append(len(keys or ()))
        on_changes(near, connection, keys)

    monkeypatch.setattr(ClusterNear, "_on_changes", spy)
    node, other = bare_cluster.primaries[:2]
    item, safe = together(bare_cluster, database, node), together(bare_cluster, database, other)
    key = database.read.key_for(item)
    many = [f"cache:{{{key}}}:{number}" for number in range(5 * SLICE)]
    assert {slot_of(many[0]), slot_of(many[-1])} == {slot_of(key)}
    await warmed(database, item)
    memory = database.cache.runtime().near().memory
    bare_cluster.command("MSET", *[word for name in many for word in (name, "x")])
    await aeventually(lambda: max(pushed) > SLICE)
    await warmed(database, item, safe)
    database.versions[item] = 1
    bare_cluster.command("DEL", *many, key)
    await seen(database, item, version=1)
    assert 5 * SLICE + 1 in pushed
    await warmed(database, item, safe)
    assert len(memory) == 2


async def test_a_node_that_hangs_is_not_believed_for_long(open_cache, bare_cluster):
    cache = open_cache(bare_cluster.url, operation_timeout=0.25)
    database = Database(cache, tags=("word:{item}",), local_ttl=60)
    node, other = bare_cluster.primaries[:2]
    item = next(
        item for item in items_on(bare_cluster, database, other) if bare_cluster.node_of(tag_of(item)) is node
    )
    safe = together(bare_cluster, database, other)
    await warmed(database, safe, item)
    bare_cluster.stop(node)
    silent_since = time.monotonic()
    database.versions[item] = 1  # as another process could have told a new primary
    latest = 0.0
    while True:
        began = time.monotonic()
        if await database.read(item) == [item, 1]:
            break
        latest = began - silent_since
    assert 0 < latest <= MAX_LAG_SECONDS
    await aeventually(lambda: is_served_from_memory(database, safe))
    bare_cluster.cont(node)
    await database.read.invalidate(item)
    await aeventually(lambda: kept(database, item))


async def test_an_idle_process_sends_no_sign_of_life(database, bare_cluster):
    items = one_on_each(bare_cluster, database)
    await warmed(database, *items)
    near = database.cache.runtime().near()
    await aeventually(lambda: near._timer is None)
    before = calls_of(SharedCluster(bare_cluster), "exists")
    assert before > 0
    await asyncio.sleep(3 * MAX_LAG_SECONDS)  # the point is that nothing is sent meanwhile
    assert calls_of(SharedCluster(bare_cluster), "exists") == before
    assert await database.read(items[0]) == [items[0], 0]


async def test_only_nodes_that_are_relied_on_are_asked_for_a_sign_of_life(database, bare_cluster):
    node, *others = bare_cluster.primaries
    item = together(bare_cluster, database, node)
    await warmed(database, item)

    async def is_asked() -> bool:
        await database.read(item)
        return counted(node) > 3

    await aeventually(is_asked, every=0.01)
    assert [counted(other) for other in others] == [0, 0]


def counted(node) -> int:
    info = node.command("INFO", "commandstats").decode()
    return int(info.partition("cmdstat_exists:calls=")[2].partition(",")[0] or 0)
