"""Filling the cache in bulk: the same entries as misses write, and no lease is left behind."""

import asyncio
import contextvars
import itertools
import math
from time import monotonic, sleep

import pytest

from langcache_cli.caching import CacheUnavailableError, ServerReplyError
from langcache_cli.caching._loading import entry_writer
from langcache_cli.caching._values.compression import compressing
from langcache_cli.caching._values.large.portions import LARGE_BYTES
from langcache_cli.caching.tooling import WarmCounts, warm
from tests.harness.polling import aeventually
from tests.integration.cache_support import leftover_tasks
from tests.integration.warm_support import CALLS, load, load_older, numbers


async def test_warmed_calls_are_hits_with_the_values_of_misses(cache):
    times_ten, runs = numbers(cache)
    assert await warm(cache, times_ten, CALLS, load) == WarmCounts(read=50, written=50)
    assert [await times_ten(number) for number in range(50)] == [{"value": n * 10} for n in range(50)]
    assert runs == []


async def test_warming_again_replaces_entries_which_are_served_meanwhile(cache):
    times_ten, runs = numbers(cache)
    await warm(cache, times_ten, CALLS, load)
    served = []

    async def load_newer(calls):
        elsewhere = contextvars.Context()  # not inside the load
        served.append(await asyncio.create_task(times_ten(7), context=elsewhere))
        return [{"value": -call["number"]} for call in calls]

    assert (await warm(cache, times_ten, CALLS, load_newer)).written == 50
    assert served == [{"value": 70}]
    assert await times_ten(7) == {"value": -7}
    assert runs == []


async def test_missing_only_neither_loads_nor_touches_what_is_there(cache):
    times_ten, _ = numbers(cache)
    await warm(cache, times_ten, CALLS[:20], load)
    loaded = []

    async def load_and_tell(calls):
        loaded.extend(call["number"] for call in calls)
        return [{"value": 0} for _ in calls]

    counts = await warm(cache, times_ten, CALLS, load_and_tell, missing_only=True)
    assert counts == WarmCounts(read=30, written=30, skipped=20)
    assert loaded == list(range(20, 50))
    assert await times_ten(3) == {"value": 30}


async def test_missing_only_replaces_entries_that_nobody_can_read(cache, redis_server):
    times_ten, runs = numbers(cache)
    redis_server.command("SET", times_ten.key_for(1), "written by somebody else")
    redis_server.command(
        "SET",
        times_ten.key_for(2),
        b"lc1 entry id=0123456789abcdef leased=0000000000000 created=1 fresh=2 load_us=3 schema=00000000\n{}",
    )
    counts = await warm(cache, times_ten, CALLS[:3], load, missing_only=True)
    assert counts == WarmCounts(read=3, written=3)
    assert await times_ten(2) == {"value": 20}
    assert runs == []


async def test_leases_outlive_a_slow_database(open_cache):
    cache = open_cache(lease_seconds=2.0)
    times_ten, _ = numbers(cache)
    token = []

    async def load_slowly(calls):
        token.append(await cache.client().get(times_ten.key_for(1)))
        ends = asyncio.get_running_loop().time() + 4.5
        while asyncio.get_running_loop().time() < ends:  # well over two leases
            assert await cache.client().get(times_ten.key_for(1)) == token[0]
        return await load(calls)

    assert (await warm(cache, times_ten, CALLS, load_slowly)).written == 50
    assert token[0].startswith(b"lc1 lease id=")


async def test_a_database_that_fails_leaves_no_lease_behind(cache):
    times_ten, runs = numbers(cache)

    async def fail(calls):
        raise LookupError("the database is gone")

    with pytest.raises(LookupError, match="the database is gone"):
        await warm(cache, times_ten, CALLS, fail, missing_only=True)
    assert await times_ten(1) == {"value": 10}
    assert await times_ten(1) == {"value": 10}
    assert runs == [1]


@pytest.mark.parametrize("missing_only", [True, False])
async def test_a_warm_that_is_cancelled_anywhere_leaves_no_lease_behind(cache, redis_server, missing_only):
    times_ten, _ = numbers(cache)
    await warm(cache, times_ten, CALLS[:25], load_older)
    for turns in itertools.count():
        redis_server.command("DEL", *(times_ten.key_for(number) for number in range(25, 50)))
        warming = asyncio.create_task(warm(cache, times_ten, CALLS, load, missing_only=missing_only))
        for _ in range(turns):
            await asyncio.sleep(0)
        was_done = warming.done()
        warming.cancel()
        await asyncio.gather(warming, return_exceptions=True)
        await aeventually(lambda: leftover_tasks() == [])
        keys = map(times_ten.key_for, range(50))
        stored = [data or b"" for data in redis_server.command("MGET", *keys)]
        assert not [data for data in stored if data.startswith(b"lc1 lease")]
        assert all(data.startswith(b"lc1 entry") for data in stored[:25])
        if was_done:
            break


@pytest.mark.parametrize("missing_only", [True, False])
async def test_a_batch_of_nothing_loads_nothing(cache, missing_only):
    times_ten, _ = numbers(cache)

    async def never(calls):
        raise AssertionError(calls)

    assert await warm(cache, times_ten, [], never, missing_only=missing_only) == WarmCounts()


async def test_a_load_that_returns_too_few_values_is_told_so_and_leaves_no_lease_behind(cache, redis_server):
    times_ten, _ = numbers(cache)

    async def load_too_few(calls):
        return (await load(calls))[1:]

    with pytest.raises(ValueError, match="returned 49 values for 50 calls"):
        await warm(cache, times_ten, CALLS, load_too_few)
    await aeventually(lambda: redis_server.command("EXISTS", times_ten.key_for(1)) == 0)


async def test_values_that_take_longer_to_pack_than_a_lease_lasts_are_stored(open_cache, monkeypatch):
    cache = open_cache(lease_seconds=0.6)
    slow_until = [math.inf]

    @cache.cached(key_prefix="large")
    async def large(number: int) -> str:
        return ""

    async def load_large(calls):
        slow_until[0] = monotonic() + 0.7
        return ["x" * 2 * LARGE_BYTES for _ in calls]

    def compressing_slowly(*arguments, **options):
        while monotonic() < slow_until[0]:
            sleep(0.005)
            yield
        return (yield from compressing(*arguments, **options))

    monkeypatch.setattr(entry_writer, "compressing", compressing_slowly)
    calls = [{"number": number} for number in range(10)]
    assert await warm(cache, large, calls, load_large) == WarmCounts(read=10, written=10)
    assert monotonic() > slow_until[0]


async def test_values_that_cannot_be_cached_are_counted_and_the_others_stored(cache, caplog):
    times_ten, _ = numbers(cache)

    async def load_badly(calls):
        return [{"value": "no number"} if call["number"] == 3 else {"value": 1} for call in calls]

    assert await warm(cache, times_ten, CALLS, load_badly) == WarmCounts(read=50, written=49, failed=1)
    assert "not cached" in caplog.text


async def test_a_redis_that_is_down_is_an_error_and_nothing_is_loaded(own_redis, open_cache):
    server = own_redis()
    cache = open_cache(server.url)
    times_ten, _ = numbers(cache)
    server.stop()
    loaded = []

    async def load_and_tell(calls):
        loaded.append(calls)
        return await load(calls)

    with pytest.raises(CacheUnavailableError):
        await warm(cache, times_ten, CALLS, load_and_tell)
    assert loaded == []


async def test_a_full_redis_is_an_error_that_says_so(own_redis, open_cache):
    server = own_redis(maxmemory="100kb", policy="noeviction")
    cache = open_cache(server.url)
    times_ten, _ = numbers(cache)
    with pytest.raises(ServerReplyError) as caught:
        await warm(cache, times_ten, CALLS, load)
    assert caught.value.code == "OOM"


@pytest.mark.parametrize("forbidden", ["getrange", "set", "eval"])
async def test_a_user_who_may_not_do_all_of_it_is_told_so(own_redis, open_cache, forbidden):
    server = own_redis()
    server.command("ACL", "SETUSER", "app", "on", ">pw", "~cache:*", "+@all", "-@admin", f"-{forbidden}")
    cache = open_cache(f"redis://app:pw@127.0.0.1:{server.port}/0")
    times_ten, _ = numbers(cache)
    with pytest.raises(ServerReplyError) as caught:
        await warm(cache, times_ten, CALLS, load)
    assert caught.value.code == "NOPERM"
