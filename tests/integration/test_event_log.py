"""What is noted as an event, by whom, and that a lost event changes nothing else."""

import asyncio
import getpass
import socket
import time

import pytest

from langcache_cli.caching.tooling import acting_as, without_events
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, redis_answers

HERE = f"{getpass.getuser()}@{socket.gethostname()}"


async def events(cache, at_least: int = 1):
    """The latest events, once there are so many."""
    await aeventually(lambda: _has(cache, at_least))
    return await cache.runtime().fleet.events.recent(100)


async def _has(cache, at_least: int) -> bool:
    return len(await cache.runtime().fleet.events.recent(100)) >= at_least


async def test_clears_are_noted_and_removals_of_keys_and_tags_are_not(cache):
    database = Database(cache, tags=("word:{item}",))
    for item in range(3):
        await database.read(item)
    await database.read.invalidate(0)
    await cache.invalidate_tags("word:1")
    with acting_as("10.0.0.7", via="http"):
        await cache.invalidate_type("vocabulary")
    found = await events(cache)
    assert [(event.what, event.target, event.by, event.via) for event in found] == [
        ("clear", "vocabulary", "10.0.0.7", "http")
    ]
    assert found[0].count == 2
    await cache.invalidate("cache:*")
    newest, _ = await events(cache, 2)
    assert (newest.target, newest.by, newest.via) == ("cache:*", HERE, "api")


async def test_only_the_latest_thousand_are_kept(one_cache, one_redis):
    log = one_cache.runtime().fleet.events
    for number in range(1200):
        log.write_soon("clear", f"type_{number}")
    await aeventually(lambda: not one_cache.runtime().background.tasks(), within=30)
    assert 1000 <= one_redis.command("XLEN", "cache@stats:events") < 1200
    assert (await log.recent(1))[0].target == "type_1199"
    assert one_redis.command("TTL", "cache@stats:events") > 0


async def test_an_outage_is_noted_when_it_has_ended_and_once_for_all_processes(open_cache, own_redis):
    server = own_redis(appendonly=True)
    caches = [open_cache(server.url, operation_timeout=0.3) for _ in range(3)]
    databases = [Database(cache) for cache in caches]
    for database in databases:
        await database.read(1)
    server.kill()
    for database in databases:
        await database.read(1)
    server.start()
    for cache in caches:
        await aeventually(lambda cache=cache: redis_answers(cache), within=30)
    await aeventually(lambda: server.command("XLEN", "cache@stats:events") > 1, within=30)
    (outage,) = await events(caches[0])
    assert (outage.what, outage.target) == ("outage", "Redis")
    assert outage.seconds > 0


async def test_processes_that_start_together_are_one_event_and_a_short_job_is_none(open_cache, redis_url):
    caches = [open_cache(redis_url) for _ in range(3)]
    databases = [Database(cache) for cache in caches]
    for cache, database, lived in zip(caches, databases, (10, 70, 100), strict=True):
        cache.runtime().statistics.began = time.monotonic() - lived
        await database.read(1)
        with acting_as("10.0.0.7", via="http"):  # whoever has asked is not who has started it
            await cache.report()
    (start,) = await events(caches[0])
    assert (start.what, start.count, start.by, start.via) == ("start", 2, HERE, "api")
    assert abs(time.time() - 70 - start.at) < 30
    await databases[1].read(2)
    await caches[1].report()
    assert (await events(caches[0])) == [start]


@pytest.mark.parametrize("damage", [("SET", "x"), ("XADD", "*", "what", "clear"), ("XADD", "*", "s", "many")])
async def test_damaged_events_are_left_out_and_the_action_is_done(one_cache, one_redis, damage):
    command, *rest = damage
    one_redis.command(command, "cache@stats:events", *rest)
    database = Database(one_cache)
    await database.read(1)
    assert await one_cache.invalidate("cache:*") == 1
    await aeventually(lambda: not one_cache.runtime().background.tasks())
    found = await one_cache.runtime().fleet.events.recent(10)
    assert all(event.target == "cache:*" for event in found)


async def test_a_hung_redis_delays_no_clear_by_more_than_its_own_time(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url, operation_timeout=0.2)
    await cache.ping()
    server.pause()
    log = cache.runtime().fleet.events
    log.write_soon("clear", "vocabulary")
    await asyncio.sleep(0)
    server.resume()
    await aeventually(lambda: not cache.runtime().background.tasks())


async def test_what_concerns_nobody_else_is_not_noted(cache):
    with without_events():
        await cache.invalidate("cache:mine:*")
    await cache.invalidate("cache:*")
    assert [event.target for event in await events(cache)] == ["cache:*"]
