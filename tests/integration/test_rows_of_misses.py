"""After some misses in a row a call begins with its lease: a look-up is saved, and nothing else changes."""

import asyncio
from collections.abc import Callable

import pytest

from langcache_cli.caching._deployment.cluster.cluster_node import ClusterNode
from langcache_cli.caching._loading.reader import LIKELY_AFTER
from langcache_cli.caching._protocol.entry import parse
from langcache_cli.caching._protocol.lease import Lease, new_lease
from langcache_cli.caching._protocol.store import Store
from langcache_cli.caching._protocol.tagged_leases import acquire_tagged
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.connection import RedisConnection
from tests.harness.polling import aeventually
from tests.harness.shared_redis import SharedCluster, calls_of, nodes_of
from tests.integration.cache_support import Database, flights

TAG, ANOTHER = "cache@tag:a", "cache@tag:b"


@pytest.fixture(params=[(), ("all", "of:{item}")], ids=["plain", "tagged"])
def database(cache, request) -> Database:
    return Database(cache, tags=request.param)


async def miss_in_a_row(database: Database, first: int = 1000) -> None:
    await database.cache.ping()  # without a connection, calls begin otherwise
    for item in range(first, first + LIKELY_AFTER):
        await database.read(item)


@pytest.fixture
def look_ups(redis_server, monkeypatch) -> Callable[[], int]:
    """How many requests have looked keys up so far: MGET of one server, pipelines of GET to cluster nodes."""
    if not isinstance(redis_server, SharedCluster):
        return lambda: calls_of(redis_server, "mget")
    sent, get = [], ClusterNode.get

    def counting(node, wanted, **options):
        sent.append(node)
        get(node, wanted, **options)

    monkeypatch.setattr(ClusterNode, "get", counting)
    return lambda: len(sent)


async def test_the_next_miss_needs_no_look_up_and_is_stored(database, look_ups):
    await miss_in_a_row(database)
    before = look_ups()
    assert before
    assert [await database.read(item) for item in range(10)] == [[item, 0] for item in range(10)]
    assert look_ups() == before
    assert [await database.read(item) for item in range(10)] == [[item, 0] for item in range(10)]
    assert set(database.reads.values()) == {1}
    counts = database.cache.statistics_of(database.read)
    assert (counts["misses"], counts["hits"], counts["loads"]) == (LIKELY_AFTER + 10, 10, LIKELY_AFTER + 10)


async def test_an_entry_that_is_there_after_all_is_a_hit_and_ends_the_row(database, redis_server):
    await database.read(1)
    await miss_in_a_row(database)
    assert await database.read(1) == [1, 0]
    assert database.reads[1] == 1
    assert database.cache.statistics_of(database.read)["hits"] == 1
    before = calls_of(redis_server, "evalsha")
    await database.read(1)
    assert calls_of(redis_server, "evalsha") == before  # it began with a look-up, not with a lease


async def test_calls_at_once_after_a_row_of_misses_look_up_together(database, redis_server, look_ups):
    for item in range(50):
        await database.read(item)
    before = look_ups()
    assert await asyncio.gather(*map(database.read, range(50))) == [[item, 0] for item in range(50)]
    # on a cluster the call that begins with its lease looks up, too: tags may be on another node
    at_most = 3 if isinstance(redis_server, SharedCluster) else 2
    assert 0 < look_ups() - before <= at_most * len(nodes_of(redis_server))
    assert set(database.reads.values()) == {1}


def tokens(database: Database) -> set[str]:
    """Of the loads under way; the watch of a load elsewhere has the token of that."""
    return {flight.token for flight in flights(database.cache)}


async def test_a_load_elsewhere_is_waited_for(open_cache):
    ours, theirs = Database(open_cache()), Database(open_cache(), held=True)
    await miss_in_a_row(ours)
    loading = asyncio.create_task(theirs.read(1))
    await theirs.gate.reached()
    waiting = asyncio.create_task(ours.read(1))
    await aeventually(lambda: tokens(ours) == tokens(theirs))
    theirs.gate.open()
    assert await asyncio.gather(loading, waiting) == [[1, 0], [1, 0]]
    assert ours.reads[1] == 0


@pytest.mark.parametrize("tag", ["all", "of:1"])
async def test_a_tag_that_another_process_has_invalidated_is_noticed(open_cache, redis_server, tag):
    database = Database(open_cache(), tags=("all", "of:{item}"))
    await database.read(1)
    await miss_in_a_row(database)
    redis_server.command("DEL", f"cache@tag:{tag}")
    database.versions[1] = 1
    assert await database.read(1) == [1, 1]
    assert await database.read(1) == [1, 1]
    assert database.reads[1] == 2


async def test_an_invalidation_during_the_load_is_noticed(database, redis_server):
    await miss_in_a_row(database)
    database.gate.shut()
    call = asyncio.create_task(database.read(1))
    await database.gate.reached(LIKELY_AFTER + 1)
    database.versions[1] = 1
    if database.options["tags"]:
        redis_server.command("DEL", "cache@tag:of:1")
    else:
        await database.read.invalidate(1)
    database.gate.open()
    assert await call == [1, 0]
    assert await database.read(1) == [1, 1]


async def test_a_function_that_raises_stores_nothing(database):
    await miss_in_a_row(database)
    database.error = OSError("no database")
    with pytest.raises(OSError, match="no database"):
        await database.read(1)
    database.error = None
    assert await database.read(1) == [1, 0]


# -- tags and leases in one round trip --


@pytest.fixture
def round_trips(monkeypatch) -> list[bytes]:
    """What was sent while no reply was awaited: what is sent before that arrives travels with it."""
    begun, send = [], RedisConnection.send

    def counting(connection, encoded, receivers):
        if not connection._waiting:
            begun.append(encoded)
        send(connection, encoded, receivers)

    monkeypatch.setattr(RedisConnection, "send", counting)
    return begun


@pytest.mark.parametrize("tags", [(), ("all",), ("of:{item}",), ("all", "of:{item}")], ids="+".join)
async def test_the_tags_of_a_miss_travel_with_its_lease(open_cache, one_redis, round_trips, tags):
    await Database(open_cache(one_redis.url), tags=tags).read(1)  # the server knows the scripts
    database = Database(open_cache(one_redis.url), tags=tags)
    await database.cache.ping()
    taken = []
    for item in range(100, 100 + LIKELY_AFTER + 2):
        round_trips.clear()
        await database.read(item)
        taken.append(len(round_trips))
    assert taken == LIKELY_AFTER * [3] + 2 * [2]  # look-up, lease and store; then lease and store


@pytest.fixture
async def store(cache) -> Store:
    return cache.runtime().store


async def acquire(store: Store, seen: dict[str, str | None], *, rejected: bytes = b"", key: str = "cache:1"):
    (lease,), (found,) = await acquire_tagged(
        *(store, [new_lease(key)], [(TAG, ANOTHER)], Budget(5.0)), ttl_ms=1000, seen=seen, rejected=[rejected]
    )
    return lease, found


def versions(redis_server) -> tuple[str, ...]:
    return tuple(version.decode() for version in redis_server.command("MGET", TAG, ANOTHER))


def held(redis_server, lease: Lease) -> bool:
    """True if the key shows this lease with the versions that its tags have now."""
    placeholder = parse(redis_server.command("GET", lease.key))
    shown = placeholder.id, placeholder.tag_versions
    return shown == (lease.token, lease.tag_versions) == (lease.token, versions(redis_server))


SEEN = {TAG: "00000000000000aa", ANOTHER: "00000000000000bb"}


@pytest.mark.parametrize(
    "seen", [{}, SEEN, {TAG: None, ANOTHER: None}, {TAG: "not a version", ANOTHER: "é" * 16}]
)
@pytest.mark.parametrize("there", [True, False])
async def test_the_lease_has_the_versions_that_the_tags_have(store, redis_server, seen, there):
    if there:
        redis_server.command("MSET", TAG, SEEN[TAG], ANOTHER, SEEN[ANOTHER])
    lease, found = await acquire(store, seen)
    assert found is None
    assert held(redis_server, lease)
    assert (versions(redis_server) == tuple(SEEN.values())) is there


async def test_a_version_that_was_invalidated_never_comes_back(store, redis_server):
    first, _ = await acquire(store, {})
    redis_server.command("DEL", TAG)
    second, found = await acquire(
        store, dict(zip((TAG, ANOTHER), first.tag_versions, strict=True)), key="cache:2"
    )
    assert found is None
    assert second.tag_versions[0] != first.tag_versions[0]
    assert second.tag_versions[1] == first.tag_versions[1]
    assert held(redis_server, second)


async def test_a_guess_from_an_earlier_call_that_is_wrong_is_not_used(store, redis_server):
    await acquire(store, {})
    redis_server.command("SET", TAG, SEEN[TAG])
    lease, found = await acquire(store, {}, key="cache:2")
    assert found is None
    assert lease.tag_versions[0] == SEEN[TAG]
    assert held(redis_server, lease)


async def test_what_is_there_is_returned_and_stays(store, redis_server):
    redis_server.command("SET", "cache:1", b"there")
    _, found = await acquire(store, {TAG: SEEN[TAG], ANOTHER: None})
    assert found == redis_server.command("GET", "cache:1") == b"there"
    lease, found = await acquire(store, {}, rejected=b"there")
    assert found is None
    assert held(redis_server, lease)


async def test_a_server_that_knows_no_script_is_told(store, redis_server):
    redis_server.command("SCRIPT", "FLUSH")
    lease, found = await acquire(store, SEEN)
    assert found is None
    assert held(redis_server, lease)


# -- requests one after another --


async def test_requests_one_after_another_do_not_wait_for_the_end_of_the_turn(one_cache):
    node = one_cache.runtime().server.node
    for _ in range(5):
        await node.call("PING")
    link = node.connection._connection
    alone = node.connection.request([("PING",)])
    assert len(link._waiting) == 1
    others = [node.connection.request([("ECHO", number)]) for number in range(3)]
    assert len(link._waiting) == 1  # gathered until the end of the turn
    assert await alone.future == [b"PONG"]
    assert [await other.future for other in others] == [[b"0"], [b"1"], [b"2"]]
    node.connection.request([("PING",)])
    assert len(link._waiting) == 0  # they were several a moment ago


async def test_an_entry_that_is_there_is_a_hit_although_its_key_was_uncacheable_before(cache, open_cache):
    database, other = Database(cache), Database(open_cache())
    await database.read(1)
    assert await database.read.invalidate(1)
    cache.runtime().uncacheable.add(database.read.key_for(1))
    await other.read(1)
    await miss_in_a_row(database)
    assert await database.read(1) == [1, 0]
    assert database.reads[1] == 1
