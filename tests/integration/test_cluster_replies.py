"""What the nodes of a cluster may say instead of a value, and what becomes of the call."""

import asyncio
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from langcache_cli.caching import cached_many
from langcache_cli.caching._deployment.cluster.slots import slot_of
from tests.harness.polling import aeventually, eventually
from tests.harness.resp import RespError
from tests.integration.cache_support import Database

MOVE_SECONDS = 60.0
SEVERAL_SLOTS = ("CROSSSLOT", "TRYAGAIN", "EXECABORT")
"""What a node says to a command about keys of several slots."""


@pytest.fixture
async def cache(open_cache, redis_cluster):
    return open_cache(redis_cluster.url)


def items_on(cluster, function, node, count: int) -> list[int]:
    """The first items whose keys are on a node."""
    found = (item for item in range(100_000) if cluster.node_of(function.key_for(item)) is node)
    return [next(found) for _ in range(count)]


def elsewhere(cluster, key):
    """A primary that does not have a key."""
    return next(node for node in cluster.primaries if node is not cluster.node_of(key))


def owner_in(cache, key) -> int:
    """The port of the node that a cache would ask for a key."""
    return cache.runtime().server.topology.slots[slot_of(key)].where[1]


def redirects(cache) -> int:
    return cache.runtime().server.router.redirects


def errors_said(cluster) -> set[str]:
    """The codes of the errors that any node has answered since the last flush."""
    infos = [node.command("INFO", "errorstats").decode() for node in cluster.running]
    return set(re.findall(r"errorstat_(\w+):", "".join(infos)))


@contextmanager
def slot_on_its_way(cluster, slot, to):
    """Inside, the keys of a slot have all been moved, and the slot is still open."""
    ready, go_on = threading.Event(), threading.Event()

    def pause() -> None:
        if not cluster.owner(slot).command("CLUSTER", "COUNTKEYSINSLOT", slot):
            ready.set()
            assert go_on.wait(MOVE_SECONDS)

    with ThreadPoolExecutor(1) as thread:
        moving = thread.submit(cluster.migrate, slot, to, pause)
        try:
            eventually(lambda: ready.is_set() or moving.done(), within=MOVE_SECONDS)
            yield
        finally:
            go_on.set()
        moving.result()


# -- MOVED --


@pytest.mark.parametrize("what", ["look-up", "load", "removal", "plain value"])
async def test_moved_is_followed_and_asked_no_second_time(cache, redis_cluster, what):
    database = Database(cache, tags=("word:{item}",))
    await database.read(7)
    await cache.set("user_stats:1", 1)
    key = "cache:user_stats:1" if what == "plain value" else database.read.key_for(7)
    target = elsewhere(redis_cluster, key)
    assert await asyncio.to_thread(redis_cluster.migrate, slot_of(key), target) == 1
    assert owner_in(cache, key) != target.port
    before = redirects(cache)
    match what:
        case "look-up":
            assert await database.read(7) == [7, 0]
        case "load":
            assert await database.read.refresh(7) == [7, 0]
        case "removal":
            assert await database.read.invalidate(7)
        case "plain value":
            assert await cache.get("user_stats:1") == 1
    assert redirects(cache) > before
    assert owner_in(cache, key) == target.port
    before = redirects(cache)
    assert await database.read(7) == [7, 0]
    assert await cache.get("user_stats:1") == 1
    assert redirects(cache) == before
    assert database.reads == {7: 1 if what in ("look-up", "plain value") else 2}


# -- ASK --


@pytest.mark.parametrize("tags", [(), ("word:{item}",)])
async def test_ask_is_followed_for_each_command_and_changes_no_owner(cache, redis_cluster, tags):
    database = Database(cache, tags=tags)
    await database.read(7)
    key = database.read.key_for(7)
    source, target = redis_cluster.node_of(key), elsewhere(redis_cluster, key)
    with slot_on_its_way(redis_cluster, slot_of(key), target):
        before = redirects(cache)
        assert await database.read(7) == [7, 0]
        assert redirects(cache) > before
        assert await database.read.refresh(7) == [7, 0]
        assert await database.read.invalidate(7)
        assert await database.read(7) == [7, 0]  # missing on both nodes: loaded, and stored on the target
        assert await database.read(7) == [7, 0]
        assert database.reads == {7: 3}
        assert owner_in(cache, key) == source.port
    assert await database.read(7) == [7, 0]  # the new owner is told of the invalidation again
    assert owner_in(cache, key) == target.port
    await aeventually(lambda: is_hit(database, 7))


async def test_a_node_that_only_receives_a_slot_and_knows_no_script_is_told_it(cache, redis_cluster):
    database = Database(cache)
    await database.read(7)
    key = database.read.key_for(7)
    with slot_on_its_way(redis_cluster, slot_of(key), elsewhere(redis_cluster, key)):
        for node in redis_cluster.nodes:
            node.command("SCRIPT", "FLUSH")
        assert await database.read.refresh(7) == [7, 0]
        assert await database.read(7) == [7, 0]
        assert database.reads == {7: 2}


@pytest.mark.parametrize("place", [0, -1], ids=["the first", "the last"])
async def test_many_keys_of_which_one_is_on_its_way_where_no_node_knows_the_script(
    cache, redis_cluster, place
):
    """That of an open slot is answered by another node than the others of the same owner."""
    calls: list[list[int]] = []

    @cache.cached(key_prefix="vocabulary")
    async def word(item: int) -> int:
        raise AssertionError(item)

    @cached_many(word, each="items")
    async def words(items: list[int]) -> list[int]:
        calls.append(items)
        return items

    items = items_on(redis_cluster, word, redis_cluster.node_of(word.key_for(7)), 20)
    key = word.key_for(items[place])
    with slot_on_its_way(redis_cluster, slot_of(key), elsewhere(redis_cluster, key)):
        for node in redis_cluster.nodes:
            node.command("SCRIPT", "FLUSH")
        assert await words(items) == items
        assert await words(items) == items
    assert await words(items) == items
    assert calls == [items]


# -- TRYAGAIN, CROSSSLOT --


async def test_no_command_of_ours_is_about_keys_of_two_slots(cache, redis_cluster):
    calls: list[list[int]] = []
    database = Database(cache, tags=("word:{item}", "all"), stale_ttl=60)

    @cached_many(database.read, each="items")
    async def many(items: list[int]) -> list[list[int]]:
        calls.append(items)
        return [[item, 0] for item in items]

    items = list(range(30))
    key = database.read.key_for(7)
    await many(items[:15])
    with slot_on_its_way(redis_cluster, slot_of(key), elsewhere(redis_cluster, key)):
        assert await many(items) == [[item, 0] for item in items]
        await asyncio.gather(*map(database.read, items))
        await asyncio.gather(*map(database.read.refresh, items))
        await cache.set_many({f"user_stats:{item}": item for item in items})
        assert len(await cache.get_many([f"user_stats:{item}" for item in items])) == len(items)
        await cache.delete(*(f"user_stats:{item}" for item in items))
        await cache.invalidate_tags("all", *(f"word:{item}" for item in items))
        await cache.invalidate("cache:vocabulary:*")
        await cache.stats()
    await cache.aclose()  # delivers the statistics
    assert errors_said(redis_cluster).isdisjoint(SEVERAL_SLOTS)
    assert errors_said(redis_cluster) >= {"ASK"}


# -- CLUSTERDOWN --


async def test_while_the_cluster_is_down_calls_do_without_it_and_no_node_is_taken_for_lost(
    cache, redis_cluster
):
    database = Database(cache)
    node = redis_cluster.primaries[0]
    first, second = items_on(redis_cluster, database.read, node, 2)
    await database.read(first)
    slot = slot_of(database.read.key_for(second))
    node.command("CLUSTER", "DELSLOTS", slot)  # with full coverage, it serves no other slot either
    try:
        await aeventually(lambda: says_down(node, database.read.key_for(first)))
        assert [await database.read(first) for _ in range(10)] == [[first, 0]] * 10
        assert database.reads[first] == 11
        assert not cache.runtime().server.is_failing
    finally:
        node.command("CLUSTER", "ADDSLOTS", slot)
    redis_cluster.settle()
    await aeventually(lambda: is_hit(database, first))


def says_down(node, key) -> bool:
    try:
        node.command("GET", key)
    except RespError as error:
        return str(error).startswith("CLUSTERDOWN")
    return False


async def is_hit(database: Database, item: int) -> bool:
    before = database.reads[item]
    return await database.read(item) == [item, 0] and database.reads[item] == before


# -- NOSCRIPT --


async def test_one_node_that_has_forgotten_the_scripts_is_told_them_again(cache, redis_cluster):
    database = Database(cache, tags=("word:{item}",))
    await asyncio.gather(*map(database.read, range(30)))
    redis_cluster.primaries[1].command("SCRIPT", "FLUSH")
    for start in (30, 60):
        items = range(start, start + 30)
        for _ in range(2):
            assert await asyncio.gather(*map(database.read, items)) == [[item, 0] for item in items]
    assert set(database.reads.values()) == {1}
    assert "NOSCRIPT" in errors_said(redis_cluster)


async def test_a_replica_that_has_become_primary_is_told_the_scripts(cache, redis_cluster):
    database = Database(cache)
    node = redis_cluster.primaries[0]
    items = items_on(redis_cluster, database.read, node, 20)
    assert await asyncio.gather(*map(database.read, items[:10])) == [[item, 0] for item in items[:10]]
    replica = await asyncio.to_thread(redis_cluster.failover, node)
    assert redis_cluster.node_of(database.read.key_for(items[0])) is replica
    await aeventually(lambda: is_hit(database, items[0]))
    for _ in range(2):
        assert await asyncio.gather(*map(database.read, items[10:])) == [[item, 0] for item in items[10:]]
    assert {item: database.reads[item] for item in items[10:]} == dict.fromkeys(items[10:], 1)


# -- NOAUTH, WRONGTYPE --


async def test_a_node_with_another_password_is_away_and_the_others_are_not(open_cache, redis_cluster):
    as_default_user = redis_cluster.url.replace(redis_cluster.login, "")
    cache = open_cache(as_default_user, operation_timeout=2.0)
    database = Database(cache)
    node = redis_cluster.primaries[0]
    own = items_on(redis_cluster, database.read, node, 10)
    others = [item for item in range(30) if redis_cluster.node_of(database.read.key_for(item)) is not node]
    await asyncio.gather(*map(database.read, [*own, *others]))
    with password(node, "another"):
        assert [await database.read(item) for item in own] == [[item, 0] for item in own]
        assert [await database.read(item) for item in others] == [[item, 0] for item in others]
        assert {database.reads[item] for item in own} == {2}
        assert {database.reads[item] for item in others} == {1}
        assert cache.runtime().server.usable(database.read.key_for(others[0]))
    await aeventually(lambda: is_hit(database, own[0]), within=10)


@contextmanager
def password(node, secret: str):
    """Inside, a node wants a password of new connections, and has none open."""
    node.command("CONFIG", "SET", "requirepass", secret)
    node.password = secret
    try:
        node.command("CLIENT", "KILL", "TYPE", "normal")
        yield
    finally:
        node.command("CONFIG", "SET", "requirepass", "")
        node.password = None


async def test_a_key_of_another_type_is_nothing_and_replaced(cache, redis_cluster):
    database = Database(cache)
    key = database.read.key_for(7)
    redis_cluster.command("RPUSH", key, "foreign")
    assert [await database.read(7) for _ in range(2)] == [[7, 0]] * 2
    assert database.reads == {7: 1}
