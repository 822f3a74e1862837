"""Invalidations that Redis does not confirm: kept, and delivered before this process reads again."""

import asyncio
import contextlib

import pytest

from tests.harness.polling import aeventually
from tests.integration.cache_support import Database

QUICK = {"operation_timeout": 0.5, "stats_flush_seconds": 0.05}


@pytest.fixture
def server(own_redis):
    """A server that keeps its data over a restart."""
    return own_redis(config=["appendonly yes", "appendfsync always"])


async def test_a_thousand_invalidations_of_an_outage_hold_when_redis_comes_back_with_its_old_data(
    open_cache, server
):
    ours, other = Database(open_cache(server.url, **QUICK)), Database(open_cache(server.url, **QUICK))
    for item in range(1000):
        await ours.read(item)
    server.kill()
    for item in range(1000):
        ours.versions[item] = other.versions[item] = 1
        assert not await ours.read.invalidate(item)
    assert ours.cache.pending_invalidations == 1000
    assert (await ours.cache.stats())["outbox"] == 1000
    server.start()
    assert server.command("DBSIZE") >= 1000  # the old values are there
    while ours.cache.pending_invalidations:
        assert await ours.read(999) == [999, 1]
        await asyncio.sleep(0)
    for item in range(1000):
        assert await ours.read(item) == [item, 1]
        assert await other.read(item) == [item, 1]
    total = (await ours.cache.report()).total
    assert total["deferred"] == total["delivered"] == 1000
    assert "(outbox)" not in (await ours.cache.report()).types


async def test_the_outbox_is_emptied_though_nobody_calls(open_cache, server):
    database = Database(open_cache(server.url, **QUICK))
    await database.read(1)
    server.kill()
    await database.read.invalidate(1)
    server.start()
    await aeventually(lambda: database.cache.pending_invalidations == 0)
    assert server.command("EXISTS", database.read.key_for(1)) == 0


@pytest.mark.parametrize("how", ["function", "key", "tag", "pattern", "type"])
async def test_every_way_to_invalidate_is_kept(open_cache, server, how):
    cache = open_cache(server.url, **QUICK)
    versions = {1: 0}

    @cache.cached(key_prefix="vocabulary", tags=("word:{item}",))
    async def read(item: int) -> int:
        return versions[item]

    assert await read(1) == 0
    server.kill()
    versions[1] = 1
    match how:
        case "function":
            assert await read.invalidate(1) is False
        case "key":
            assert await cache.invalidate_keys([read.key_for(1)]) == 0
        case "tag":
            assert await cache.invalidate_tags("word:1") == 0
        case "pattern":
            assert await cache.invalidate("cache:*read*") == 0
        case "type":
            assert await cache.invalidate_type("vocabulary") == 0
    assert cache.pending_invalidations == 1
    server.start()
    assert await read(1) == 1
    await aeventually(lambda: cache.pending_invalidations == 0)
    assert await read(1) == 1


async def test_plain_values_are_not_read_before_the_outbox_is_empty(open_cache, server):
    cache = open_cache(server.url, **QUICK)
    await cache.set("user_stats:1", "old")
    server.kill()
    assert await cache.delete("user_stats:1") == 0
    server.start()
    while cache.pending_invalidations:
        assert await cache.get("user_stats:1") is None
        await asyncio.sleep(0)
    assert await cache.get("user_stats:1") is None


async def test_more_than_the_outbox_holds_clears_the_namespace(open_cache, server):
    database = Database(open_cache(server.url, **QUICK))
    database.cache.runtime().outbox.limit = 100
    for item in range(300):
        await database.read(item)
    server.kill()
    for item in range(250):
        database.versions[item] = 1
        await database.read.invalidate(item)
    assert database.cache.pending_invalidations <= 100
    server.start()
    await aeventually(lambda: database.cache.pending_invalidations == 0)
    assert server.command("EXISTS", database.read.key_for(299)) == 0
    for item in range(250):
        assert await database.read(item) == [item, 1]
    total = (await database.cache.report()).total
    assert total["deferred"] == total["delivered"] == 250
    noted = await database.cache.runtime().fleet.events.recent(10)
    (overflow,) = [event for event in noted if event.what == "overflow"]
    assert 100 < overflow.count <= 250


async def test_a_cancelled_invalidation_is_not_lost(open_cache, server):
    database = Database(open_cache(server.url))
    await database.read(1)
    server.pause()
    database.versions[1] = 1
    invalidation = asyncio.create_task(database.read.invalidate(1))
    await asyncio.sleep(0)
    invalidation.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await invalidation
    assert database.cache.pending_invalidations == 1
    server.resume()
    assert await database.read(1) == [1, 1]
    await aeventually(lambda: database.cache.pending_invalidations == 0)


async def test_a_server_that_refuses_keeps_this_process_from_reading_until_it_does_not(open_cache, server):
    database = Database(open_cache(server.url, **QUICK))
    await database.read(1)
    server.command("ACL", "SETUSER", "default", "-unlink")
    database.versions[1] = 1
    assert not await database.read.invalidate(1)
    assert await database.read(1) == [1, 1]
    assert database.cache.pending_invalidations == 1
    server.command("ACL", "SETUSER", "default", "+unlink")
    await aeventually(lambda: database.cache.pending_invalidations == 0)
    assert await database.read(1) == [1, 1]


async def test_what_the_closing_cache_cannot_deliver_is_said_and_kept(open_cache, server, caplog):
    database = Database(open_cache(server.url, **QUICK))
    await database.read(1)
    server.kill()
    await database.read.invalidate(1)
    await database.cache.aclose()
    assert "1 invalidations were not delivered" in caplog.text
    assert database.cache.pending_invalidations == 1
    server.start()
    await aeventually(lambda: is_empty_after_a_call(database))


async def is_empty_after_a_call(database: Database) -> bool:
    await database.read(1)
    return database.cache.pending_invalidations == 0


async def test_closing_delivers_what_can_be_delivered(open_cache, server):
    database = Database(open_cache(server.url, **QUICK))
    await database.read(1)
    server.kill()
    await database.read.invalidate(1)
    server.start()
    await aeventually(lambda: is_delivered_by_closing(database))
    assert server.command("EXISTS", database.read.key_for(1)) == 0


async def is_delivered_by_closing(database: Database) -> bool:
    await database.cache.aclose()
    return database.cache.pending_invalidations == 0
