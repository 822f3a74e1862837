"""The event hook sees what is counted, and cannot do harm."""

from langcache_cli.caching import CacheEvent
from langcache_cli.caching.testing import Faults, memory_cache
from tests.integration.cache_support import Database


async def test_a_hook_sees_every_call_with_its_key_and_its_time():
    events: list[CacheEvent] = []
    async with memory_cache() as cache:
        database = Database(cache)
        cache.events.subscribe(events.append)
        await database.read(1)
        await database.read(1)
        await database.read.invalidate(1)
    key = database.read.key_for(1)
    names = [event.name for event in events]
    assert names == ["misses", "loads", "bytes_written", "bytes_read", "hits", "invalidated"]
    by_name = {event.name: event for event in events}
    assert by_name["hits"].key == by_name["loads"].key == key
    assert by_name["hits"].seconds >= 0
    assert by_name["loads"].seconds >= 0
    assert by_name["hits"].label.type == "vocabulary"
    assert by_name["bytes_written"].amount == len(b"[1,0]")


async def test_a_hook_that_has_ended_sees_nothing_more():
    events: list[CacheEvent] = []
    async with memory_cache() as cache:
        database = Database(cache)
        unsubscribe = cache.events.subscribe(events.append)
        unsubscribe()
        await database.read(1)
    assert events == []


async def test_a_hook_that_fails_is_reported_and_harms_nobody(caplog):
    seen: list[str] = []

    def broken(event: CacheEvent) -> None:
        raise LookupError(event.name)

    async with memory_cache() as cache:
        database = Database(cache)
        cache.events.subscribe(broken)
        cache.events.subscribe(lambda event: seen.append(event.name))
        assert await database.read(1) == [1, 0]
    assert "misses" in seen
    assert "an event hook failed on misses" in caplog.text


async def test_an_outage_and_its_invalidations_are_events():
    seen: list[str] = []
    faults = Faults()
    async with memory_cache(faults=faults, operation_timeout=0.1) as cache:
        database = Database(cache)
        await database.read(1)
        cache.events.subscribe(lambda event: seen.append(event.name))
        with faults.failing():
            await database.read.invalidate(1)
            await database.read(1)
    assert {"deferred", "bypassed", "delivered"} <= set(seen)
