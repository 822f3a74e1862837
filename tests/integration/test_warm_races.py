"""A warm beside invalidations, loads, refreshes and other warms: the newest value is stored, no older one."""

import asyncio

import pytest

from langcache_cli.caching.tooling import WarmCounts, warm
from tests.integration.warm_support import CALLS, load, load_older, numbers


@pytest.mark.parametrize("missing_only", [False, True])
@pytest.mark.parametrize("entries_before", [False, True])
async def test_what_is_invalidated_while_a_warm_reads_is_not_stored(
    cache, redis_server, missing_only, entries_before
):
    times_ten, _ = numbers(cache)
    if entries_before and not missing_only:
        await warm(cache, times_ten, CALLS, load)

    async def load_while_others_invalidate(calls):
        values = await load(calls)  # read before the invalidations
        await times_ten.invalidate(number=1)
        redis_server.command("DEL", times_ten.key_for(2))
        return values

    counts = await warm(cache, times_ten, CALLS, load_while_others_invalidate, missing_only=missing_only)
    assert counts == WarmCounts(read=50, written=48, refused=2)
    for number in (1, 2):
        assert not await cache.holds(times_ten.key_for(number))

    async def load_while_all_is_cleared(calls):
        values = await load(calls)
        await cache.invalidate("cache:numbers:*")
        return values

    await cache.invalidate("cache:numbers:*")
    counts = await warm(cache, times_ten, CALLS, load_while_all_is_cleared, missing_only=missing_only)
    assert counts == WarmCounts(read=50, refused=50)
    assert [keys async for keys in cache.scan()] == []


async def test_a_load_that_began_before_a_warm_cannot_replace_its_newer_value(cache):
    release = asyncio.Event()
    started = asyncio.Event()

    @cache.cached(key_prefix="numbers")
    async def slow(number: int) -> dict[str, int]:
        started.set()
        await release.wait()
        return {"value": -1}

    early = asyncio.create_task(slow(1))
    await started.wait()
    assert (await warm(cache, slow, [{"number": 1}], load)).written == 1
    release.set()
    assert await early == {"value": 10}
    assert await slow(1) == {"value": 10}


async def test_an_old_entry_does_not_outlive_a_warm_that_was_overtaken(cache):
    times_ten, runs = numbers(cache)
    await warm(cache, times_ten, CALLS[:1], load_older)

    async def load_while_another_refresh_begins_and_fails(calls):
        async def fail(_):
            raise LookupError

        with pytest.raises(LookupError):
            await warm(cache, times_ten, calls, fail)
        return [{"value": -1}]

    counts = await warm(cache, times_ten, CALLS[:1], load_while_another_refresh_begins_and_fails)
    assert counts == WarmCounts(read=1, refused=1)
    assert await times_ten(0) == {"value": 0}
    assert runs == [0]


@pytest.mark.parametrize("before", ["nothing", "old entries"])
@pytest.mark.parametrize("first_to_store", ["the earlier", "the later"])
async def test_of_two_warms_at_once_the_later_stores_all_of_it(cache, open_cache, before, first_to_store):
    times_ten, runs = numbers(cache)
    if before == "old entries":
        await warm(cache, times_ten, CALLS, load_older)
    earlier_has_claimed, later_has_claimed, earlier_is_done = (asyncio.Event() for _ in range(3))

    async def load_later(calls):
        later_has_claimed.set()
        if first_to_store == "the earlier":
            await earlier_is_done.wait()
        return await load(calls)

    async def load_earlier(calls):
        earlier_has_claimed.set()
        await later_has_claimed.wait()
        if first_to_store == "the later":
            await later
        return await load_older(calls)

    async def begin_later():
        await earlier_has_claimed.wait()
        return await warm(open_cache(), times_ten, CALLS, load_later)

    later = asyncio.create_task(begin_later())
    earlier = await warm(cache, times_ten, CALLS, load_earlier)
    assert earlier == WarmCounts(read=50, refused=50)
    earlier_is_done.set()
    assert await later == WarmCounts(read=50, written=50)
    assert [await times_ten(number) for number in range(50)] == [{"value": n * 10} for n in range(50)]
    assert runs == []


async def test_what_is_refreshed_during_a_warm_stays(cache):
    times_ten, runs = numbers(cache)
    await warm(cache, times_ten, CALLS, load_older)

    async def load_while_one_is_refreshed(calls):
        await times_ten.refresh(7)
        return await load_older(calls)

    counts = await warm(cache, times_ten, CALLS, load_while_one_is_refreshed)
    assert counts == WarmCounts(read=50, written=49, refused=1)
    assert await times_ten(7) == {"value": 70}
    assert runs == [7]
