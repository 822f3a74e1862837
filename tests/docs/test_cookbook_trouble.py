"""docs/cookbook.md: many calls, outages, memory, and what shares a Redis are as the recipes say."""

import asyncio
import re
import time
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from langcache_cli.caching import Cache, CacheSettings, get_default_cache, set_default_cache, sync
from langcache_cli.caching.testing import Faults, memory_cache
from langcache_cli.caching.tooling import default_warmers, warm
from tests.docs.test_python_blocks import cache
from tests.harness.polling import aeventually
from tests.harness.shared_redis import calls_of
from tests.integration.cache_support import cache_at, waiting

__all__ = ["cache"]  # the fixture


async def test_one_call_of_all_processes_runs_the_function(cache, recipe, names, redis_url):
    service = names["slow_query"]
    service.gate.shut()
    here = await recipe("How do I avoid a stampede?")
    calls = [asyncio.create_task(here.get_leaderboard("de")) for _ in range(20)]
    await service.gate.reached()
    async with cache_at(redis_url) as other:  # as in another process
        set_default_cache(other)
        there = await recipe("How do I avoid a stampede?")
        with other.traced() as trace:
            calls += [asyncio.create_task(there.get_leaderboard("de")) for _ in range(20)]
            await aeventually(lambda: waiting(other) == 20)
            service.gate.open()
            assert await asyncio.gather(*calls) == [["de"]] * 40
        set_default_cache(cache)
    assert service.asked == ["de"]
    assert {call.outcome for call in trace} == {"waited"}


async def test_a_key_in_steady_use_is_loaded_before_its_ttl_ends(cache, recipe, names, redis_server):
    found = await recipe("How do I avoid a stampede?")
    await found.get_leaderboard("de")
    key = found.get_leaderboard.key_for("de")
    entry = redis_server.command("GET", key)
    slow = re.sub(rb"load_us=\d+ ", b"load_us=%d " % (3600 * 10**6), entry, count=1)
    redis_server.command("SET", key, slow, "KEEPTTL")  # a load of an hour: it cannot begin early enough

    async def loaded_again() -> bool:
        assert await found.get_leaderboard("de") == ["de"]
        return len(names["slow_query"].asked) == 2

    await aeventually(loaded_again)


async def test_the_warmer_loads_ahead(cache, recipe, names):
    found = await recipe("How do I avoid a stampede?")
    (warmer,) = default_warmers()
    async for calls in warmer.calls():
        await warm(cache, warmer.function, calls, warmer.load)
    assert names["slow_query"].asked == ["de", "en"]
    assert await found.get_leaderboard("en") == ["en"]
    assert names["slow_query"].asked == ["de", "en"]


async def test_none_is_stored_where_the_annotation_has_it(cache, recipe, names, caplog):
    found = await recipe("How do I cache None?")
    assert [await found.get_nickname(7), await found.get_nickname(7)] == [None, None]
    assert names["nickname_service"].asked == [7]
    await cache.set("nicknames:7", None)
    assert [await found.is_known("nicknames:7"), await found.is_known("nicknames:8")] == [True, False]

    @found.cached(key_prefix="nicknames")
    async def get_name(user_id: int) -> str:
        return await names["nickname_service"](user_id)

    assert [await get_name(9), await get_name(9)] == [None, None]
    assert names["nickname_service"].asked == [7, 9, 9]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_an_application_goes_on_without_redis(recipe, names, tmp_path):
    faults = Faults()
    async with memory_cache(faults=faults) as cache:
        before = set_default_cache(cache)
        found = await recipe("What happens while Redis is down?")
        runs: list[int] = []

        @cache.cached(key_prefix="vocabulary")
        async def read(item: int) -> int:
            runs.append(item)
            return len(runs)

        transport = httpx.ASGITransport(found.app)
        with faults.failing():
            async with (
                found.app.router.lifespan_context(found.app),
                httpx.AsyncClient(transport=transport, base_url="http://app") as client,
            ):
                assert sorted(await asyncio.gather(read(1), read(1))) == [1, 2]
                health = await client.get("/health/cache")
                assert (health.status_code, health.json()["status"]) == (200, "degraded")
        assert await read(1) in (3, 4)
        await read.invalidate(1)
        set_default_cache(before)


async def test_an_invalidation_is_kept_until_redis_is_back():
    faults = Faults()
    async with memory_cache(faults=faults) as cache:
        values = ["new", "old"]

        @cache.cached(key_prefix="vocabulary")
        async def read(item: int) -> str:
            return values[-1]

        assert await read(1) == "old"
        values.pop()
        with faults.failing():
            await read.invalidate(1)
            assert cache.pending_invalidations == 1
        assert await read(1) == "new"


async def test_a_cache_that_is_switched_off_runs_the_function(monkeypatch):
    monkeypatch.setenv("REDIS_ENABLED", "false")
    async with Cache(CacheSettings.load()) as off:
        runs: list[int] = []

        @off.cached(key_prefix="vocabulary")
        async def read(item: int) -> int:
            runs.append(item)
            return item

        await read(1), await read(1)
        assert runs == [1, 1]


@pytest.mark.usefixtures("cache")
async def test_code_without_an_event_loop_shares_the_entries(recipe, names):
    found = await recipe("How do I use the cache in Celery tasks, scripts and Django views?")

    def in_a_thread() -> list[Any]:
        first = found.build_report(7), found.build_report(7)
        paid = found.order_was_paid(7)
        sync.close()
        return [*first, paid]

    assert await found.get_rate("eur") == 1.5
    assert await asyncio.to_thread(in_a_thread) == [{"total": 7}, {"total": 7}, 10.5]
    assert names["report_of"].asked == [7, 7], "once, and once after its tag was invalidated"
    assert names["rate_service"].asked == ["eur"], "the thread has found the entry of the event loop"
    for call in (found.build_report, found.get_rate.sync):
        with pytest.raises(RuntimeError, match="event loop"):
            call(7)


async def test_hot_values_are_in_memory_and_large_ones_nowhere(cache, recipe, names):
    found = await recipe("How do I keep hot values in memory, and large ones out?")
    outcomes: set[str] = set()

    async def near() -> bool:
        with get_default_cache().traced() as trace:
            await found.get_flags("a")
        outcomes.add(trace[-1].outcome)
        return trace[-1].outcome == "near"

    await aeventually(near)
    await cache.client().unlink(found.get_flags.key_for("a"))  # any client, as another process

    async def loaded_again() -> bool:
        await found.get_flags("a")
        return len(names["flags_of"].asked) == 2

    await aeventually(loaded_again)
    await found.get_export(1_000_001), await found.get_export(1_000_001)
    await found.get_export(1), await found.get_export(1)
    assert names["export_of"].asked == [1_000_001, 1_000_001, 1]
    assert cache.statistics_of(found.get_export)["too_large"] == 2


async def test_the_old_value_is_served_while_the_new_one_loads_and_fails(clock, recipe, names):
    found = await recipe("How do I serve the old value while the new one loads, or the database is down?")
    service = names["weather_service"]
    await found.get_weather("Ulm")
    clock.advance(601)
    service.answer = lambda city: f"sun in {city}"
    service.gate.shut()
    assert await found.get_weather("Ulm") == "rain in Ulm", "while the next one loads"
    await service.gate.reached(2)
    service.gate.open()

    async def new() -> bool:
        return await found.get_weather("Ulm") == "sun in Ulm"

    await aeventually(new)
    clock.advance(601)
    service.fails(RuntimeError("no database"))
    assert await found.get_weather("Ulm") == "sun in Ulm", "while it fails"
    await found.get_weather.invalidate("Ulm")
    with pytest.raises(RuntimeError, match="no database"):
        await found.get_weather("Ulm")


async def test_a_stale_value_ends(clock, recipe, names):
    found = await recipe("How do I serve the old value while the new one loads, or the database is down?")
    await found.get_weather("Ulm")
    names["weather_service"].fails(RuntimeError("no database"))
    clock.advance(600 + 86_400 + 1)
    with pytest.raises(RuntimeError, match="no database"):
        await found.get_weather("Ulm")


async def test_applications_and_versions_share_a_redis(cache, recipe, monkeypatch, redis_url):
    monkeypatch.setenv("REDIS_URL", redis_url)
    found = await recipe("How do several applications, or two versions of one, share a Redis?")
    async with found.prices:
        await found.get_list_price("book")
        key = found.get_list_price.key_for("book")
        assert key == "shop:prices:get_list_price:book"
        assert await cache.invalidate("cache:*") == 0
        assert await found.prices.holds(key)

        next_version = Cache(CacheSettings.load(namespace="shop"))

        @next_version.cached(key_prefix="prices", ttl="1h")
        async def get_list_price(article: str) -> dict[str, float]:
            return {"gross": 11.0, "net": 9.9}

        async with next_version:
            assert get_list_price.key_for("book") == key
            assert await get_list_price("book") == {"gross": 11.0, "net": 9.9}
            assert await found.get_list_price("book") == 9.9


@pytest.mark.usefixtures("cache")
async def test_locks_and_limits(recipe, names, monkeypatch, redis_server):
    found = await recipe("How do I use Redis for locks, counters and rate limits?")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)  # all calls are in one minute
    assert [await found.is_allowed(7, per_minute=2) for _ in range(3)] == [True, True, False]
    assert await found.is_allowed(8, per_minute=2)
    service = names["import_from_publisher"]
    service.gate.shut()
    imports = [asyncio.create_task(found.import_words()) for _ in range(2)]
    await service.gate.reached()
    await aeventually(lambda: calls_of(redis_server, "set") >= 2)  # the other one has tried
    assert len(service.asked) == 1
    service.gate.open()
    await asyncio.gather(*imports)
    assert len(service.asked) == 2


@pytest.mark.usefixtures("cache")
async def test_ids_that_are_cached_are_not_asked_for(recipe, names):
    found = await recipe("How do I cache a call for many ids?")
    db = names["db"]
    await found.get_one_word(7, db)
    queries: list[Any] = []
    event.listen(db.bind.sync_engine, "before_cursor_execute", lambda *of: queries.append(of[3]))
    words = await found.get_words([8, 7, 9, 8], db)
    assert [word and word.id for word in words] == [8, 7, None, 8]
    assert queries == [(8, 9)]
    assert (await found.get_one_word(8, db)).id == 8
    await found.get_words([7, 8, 9], db)
    assert queries == [(8, 9)]
