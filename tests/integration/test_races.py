"""Invalidation against everything that may be storing an old value: no way through, however often.

1,200 races in the suite; LANGCACHE_TEST_RACES=100000 asks for more.
"""

import asyncio
import os
from collections.abc import Callable, Sequence

import pytest

from langcache_cli.caching import Cache
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching.tooling import warm
from tests.integration.cache_support import Database, flights

AT_ONCE = 250
WAYS = ["key", "tag", "pattern", "type"]
MEANWHILE = ["load", "early refresh", "warm"]
RACES = max(100, -(-int(os.environ.get("LANGCACHE_TEST_RACES", "0")) // (len(WAYS) * len(MEANWHILE))))


class AlwaysDue(Lifetime):
    """Every hit wants to load the next value early."""

    __slots__ = ()

    def draw_refresh(self, entry, now_ms):
        return True


@pytest.fixture
def cache(open_cache: Callable[..., Cache]) -> Cache:
    """Hundreds of calls at once take longer than one call may."""
    return open_cache(operation_timeout=20.0, lease_seconds=60.0)


@pytest.fixture
def database(cache) -> Database:
    return Database(cache, tags=("item:{item}",), early_refresh=1.0)


async def begin(what: str, database: Database, items: Sequence[int]) -> list[asyncio.Task]:
    """Have the value of each item read from the database, and hold it there."""
    reader = database.cache.reader(database.read.spec)
    if what == "warm":

        async def load(calls):
            values = [[call["item"], database.versions[call["item"]]] for call in calls]
            await database.gate()
            return values

        calls = [{"item": item} for item in items]
        tasks = [asyncio.create_task(warm(database.cache, database.read, calls, load))]
        await database.gate.reached(1)
        return tasks
    if what == "early refresh":
        database.gate.open()
        await asyncio.gather(*map(database.read, items))
        database.gate.shut()
        database.gate.arrived = 0
        usual, reader.lifetime = reader.lifetime, AlwaysDue(3600, early_refresh=1.0)
        assert await asyncio.gather(*map(database.read, items)) == [[item, 0] for item in items]
        reader.lifetime = usual
        await database.gate.reached(len(items))
        return [flight.task for flight in flights(database.cache)]
    tasks = [asyncio.create_task(database.read(item)) for item in items]
    await database.gate.reached(len(items))
    return tasks


async def clear(way: str, database: Database, items: Sequence[int]) -> None:
    match way:
        case "key":
            await asyncio.gather(*map(database.read.invalidate, items))
        case "tag":
            await database.cache.invalidate_tags(*(f"item:{item}" for item in items))
        case "pattern":
            await database.cache.invalidate("cache:*read*")
        case "type":
            await database.cache.invalidate_type("vocabulary")


@pytest.mark.timeout(30 + RACES // 20)
@pytest.mark.parametrize("what", MEANWHILE)
@pytest.mark.parametrize("way", WAYS)
async def test_no_read_after_an_invalidation_is_older(database, way, what):
    stale = 0
    for start in range(0, RACES, AT_ONCE):
        items = range(start, min(start + AT_ONCE, RACES))
        database.gate.shut()
        database.gate.arrived = 0
        tasks = await begin(what, database, items)
        for item in items:
            database.versions[item] = 1
        await clear(way, database, items)
        # Some reads begin before the old value could be stored, the others after.
        early = [asyncio.create_task(database.read(item)) for item in items[::2]]
        await database.gate.reached(1)
        database.gate.open()
        await asyncio.gather(*tasks)
        reads = await asyncio.gather(*early, *map(database.read, items))
        stale += sum(version < 1 for _, version in reads)
    assert stale == 0
