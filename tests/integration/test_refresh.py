"""Refreshes side by side, refreshes that fail, refreshes that never end; how long a refused load waits."""

import asyncio
import time

import pytest

from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, make_stale

FAR_AWAY_SECONDS = 30


@pytest.mark.parametrize("tags", [(), ("items",)], ids=["plain", "tagged"])
@pytest.mark.parametrize("filled", [False, True], ids=["empty", "filled"])
async def test_a_hundred_refreshes_at_once_store_one_value(cache, redis_server, filled, tags):
    database = Database(cache, tags=tags)
    if filled:
        await database.read(1)
        database.versions[1] = 1
    before = database.reads[1]
    values = await asyncio.gather(*(database.read.refresh(1) for _ in range(100)))
    assert values == [[1, int(filled)]] * 100
    assert len(set(map(id, values))) == 100
    assert database.reads[1] == before + 1
    assert redis_server.command("EXISTS", database.read.key_for(1)) == 1
    assert await database.read(1) == [1, int(filled)]
    assert database.reads[1] == before + 1


async def test_a_refresh_that_began_after_the_function_runs_it_again(cache):
    """It may know of a change that the first one has not seen."""
    database = Database(cache, held=True)
    first = asyncio.create_task(database.read.refresh(1))
    await database.gate.reached()
    database.versions[1] = 1
    second = asyncio.create_task(database.read.refresh(1))
    await database.gate.reached(2)
    database.gate.open()
    assert await second == [1, 1]
    assert (await first)[0] == 1
    assert await database.read(1) == [1, 1]
    assert database.reads == {1: 2}


@pytest.mark.parametrize("filled", [False, True], ids=["empty", "filled"])
@pytest.mark.parametrize("first_ends", [True, False])
async def test_of_refreshes_in_two_processes_one_stores_and_the_other_joins_it(
    open_cache, filled, first_ends
):
    ours, theirs = Database(open_cache()), Database(open_cache())
    if filled:
        await ours.read(1)
    ours.gate.shut()
    theirs.gate.shut()
    theirs.versions[1] = 1
    first = asyncio.create_task(ours.read.refresh(1))
    await ours.gate.reached(1 + filled)
    second = asyncio.create_task(theirs.read.refresh(1))
    await theirs.gate.reached()
    if first_ends:
        ours.gate.open()
        await aeventually(lambda: ours.cache.statistics_of(ours.read)["refused"])
        theirs.gate.open()
    else:
        theirs.gate.open()
        await asyncio.wait([second])
        ours.gate.open()
    assert await asyncio.gather(first, second) == [[1, 1]] * 2
    runs = ours.reads + theirs.reads
    assert await ours.read(1) == await theirs.read(1) == [1, 1]
    assert ours.reads + theirs.reads == runs


async def test_a_failed_refresh_fails_all_who_share_it_and_keeps_the_entry(cache):
    database = Database(cache)
    await database.read(1)
    database.error = LookupError("gone")
    errors = await asyncio.gather(*(database.read.refresh(1) for _ in range(10)), return_exceptions=True)
    assert [str(error) for error in errors] == ["gone"] * 10
    assert database.reads == {1: 2}
    assert await database.read(1) == [1, 0]


async def test_a_background_refresh_that_never_ends_does_not_keep_others_from_trying(
    open_cache, redis_server
):
    cache = open_cache(load_timeout=0.2, lease_seconds=0.1)
    database = Database(cache, ttl=60, stale_ttl=600)
    await database.read(1)
    make_stale(redis_server, database.read.key_for(1))
    database.gate.shut()
    await database.read(1)  # loads the next value in the background, for ever
    await database.gate.reached(2)
    hung = asyncio.all_tasks()
    database.versions[1] = 1

    async def is_refreshed() -> bool:
        if database.gate.arrived > 2:
            database.gate.open()
        return await database.read(1) == [1, 1]

    await aeventually(is_refreshed, within=10)
    assert [task for task in hung if "load" in task.get_name() and not task.done()] == []


@pytest.mark.parametrize("how", ["elected", "refresh"])
async def test_after_a_failed_refresh_nobody_waits_for_a_lease_under_which_nobody_loads(
    open_cache, redis_server, how
):
    cache = open_cache(lease_seconds=FAR_AWAY_SECONDS)
    options = {"ttl": 0.3, "stale_ttl": 0.7} if how == "elected" else {"ttl": 1.0}
    database = Database(cache, **options)
    await database.read(1)
    key = database.read.key_for(1)
    database.error = LookupError("the database is away")
    if how == "refresh":
        with pytest.raises(LookupError):
            await database.read.refresh(1)
    else:
        await aeventually(lambda: _elected(database))
    database.error = None
    await aeventually(lambda: redis_server.command("PTTL", key) < 1500)
    await aeventually(lambda: redis_server.command("EXISTS", key) == 0)
    assert await asyncio.wait_for(database.read(1), 8) == [1, 0]


async def _elected(database) -> bool:
    await database.read(1)
    return database.reads[1] >= 2


async def test_a_refused_load_does_not_wait_long_for_another_load(open_cache):
    """Its own function has ended: it has a value."""
    ours, theirs = Database(open_cache(), held=True), Database(open_cache(), held=True)
    first = asyncio.create_task(ours.read(1))
    await ours.gate.reached()
    await theirs.read.invalidate(1)
    theirs.versions[1] = 1
    second = asyncio.create_task(theirs.read(1))
    await theirs.gate.reached()
    started = time.monotonic()
    ours.gate.open()
    assert await first == [1, 0]
    assert time.monotonic() - started < FAR_AWAY_SECONDS / 3
    theirs.gate.open()
    assert await second == [1, 1]
    assert await ours.read(1) == [1, 0]  # not older than what it returned before
