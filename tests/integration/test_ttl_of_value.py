"""`ttl` as a function of the value, as a text, as a timedelta; and `max_bytes`."""

import asyncio
import logging
import math
from datetime import timedelta

import pytest

from langcache_cli.caching.testing import FakeClock, memory_cache
from langcache_cli.caching.tooling import warm
from tests.harness.polling import aeventually
from tests.integration.cache_support import waiting
from tests.integration.ttl_support import Words

MINUTE, DAY = 60, 86_400


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def cache(clock):
    async with memory_cache(clock=clock) as cache:
        yield cache


@pytest.mark.parametrize("ttl", ["1h30m", timedelta(minutes=90), 5400, lambda _: "90m"])
async def test_one_ttl_in_every_form(cache, clock, ttl):
    words = Words(cache, ttl=ttl)
    await words.read(1)
    clock.advance(5399)
    assert await words.is_stored()
    clock.advance(2)
    assert not await words.is_stored()


async def test_other_times_take_texts_and_timedeltas_too(cache, clock):
    words = Words(cache, ttl="1m", stale_ttl=timedelta(minutes=2), local_ttl="10s")
    assert words.read.spec.local_seconds == 10
    lifetime = cache.lifetime(words.read.spec)
    assert (lifetime.ttl_seconds, lifetime.stale_seconds) == (60, 120)
    assert await cache.set("a", 1, ttl="1m")
    assert await cache.set_many({"b": 2}, ttl=timedelta(minutes=1))
    clock.advance(59)
    assert (await cache.get("a"), await cache.get("b")) == (1, 2)
    clock.advance(2)
    assert (await cache.get("a"), await cache.get("b")) == (None, None)
    for wrong, error in (
        ("soon", ValueError),
        ("0s", ValueError),
        (timedelta(-1), ValueError),
        (b"1m", TypeError),
    ):
        with pytest.raises(error):
            await cache.set("a", 1, ttl=wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ttl": "soon"}, "ttl: 'soon' is not a duration"),
        ({"ttl": "0s"}, "ttl must be more than 0 seconds"),
        ({"ttl": timedelta(days=-1)}, "ttl must be more than 0 seconds"),
        ({"stale_ttl": "1 hour"}, "stale_ttl: '1 hour' is not a duration"),
        ({"local_ttl": b"1s"}, "local_ttl: a bytes is not a duration"),
        ({"max_bytes": 0}, "max_bytes must be more than 0"),
        ({"max_bytes": "1 MB"}, "max_bytes must be a number of bytes"),
    ],
)
async def test_options_that_mean_nothing_are_refused_at_import(cache, options, message):
    with pytest.raises(TypeError, match=message):
        Words(cache, **options)


async def test_each_value_has_a_ttl_of_its_own_also_in_a_batch_and_a_refresh(cache, clock):
    words = Words(cache, ttl=lambda value: "1h" if value else timedelta(minutes=1))
    words.values[2] = words.values[4] = None
    await words.read(1)
    await words.read_all([2, 3])
    assert await words.read.refresh(4) is None
    clock.advance(MINUTE + 1)
    assert [await words.is_stored(item) for item in (1, 2, 3, 4)] == [True, False, True, False]


@pytest.mark.parametrize("nothing", [None, 0, 0.0, "0s", timedelta(0)])
async def test_a_value_without_a_ttl_is_returned_and_not_stored(cache, nothing):
    words = Words(cache, ttl=lambda value: nothing if value is None else 60)
    words.values[1] = None
    assert await words.read(1) is None
    assert not await words.is_stored()
    assert await words.read_all([1, 2]) == [None, "word 2"]
    assert [await words.is_stored(item) for item in (1, 2)] == [False, True]
    assert words.counted("declined") == 4
    assert words.counted("uncacheable") == words.counted("unstored") == 0
    words.values[1] = "there now"
    assert await words.read(1) == await words.read(1) == "there now"
    assert await words.is_stored()


async def test_calls_that_wait_share_the_value_that_is_not_stored(cache):
    words = Words(cache, ttl=lambda _: None)
    words.values[1] = ["a list"]
    words.gate.shut()
    calls = [asyncio.ensure_future(words.read(1)) for _ in range(20)]
    await aeventually(lambda: waiting(cache) == 20, within=30)
    words.gate.open()
    values = await asyncio.gather(*calls)
    assert values == [["a list"]] * 20
    assert len({id(value) for value in values}) == 20
    assert words.loads == [1]
    assert not await words.is_stored()


async def test_calls_that_wait_for_a_batch_share_it_too(cache):
    words = Words(cache, max_bytes=20)
    words.values[1] = "long" * 10
    words.gate.shut()
    batch = asyncio.ensure_future(words.read_all([1, 2]))
    await words.gate.reached()
    calls = [asyncio.ensure_future(words.read(item)) for item in (1, 1, 2)]
    await aeventually(lambda: waiting(cache) == 4, within=30)
    words.gate.open()
    assert await batch == ["long" * 10, "word 2"]
    assert await asyncio.gather(*calls) == ["long" * 10] * 2 + ["word 2"]
    assert words.loads == [1, 2]
    assert words.counted("too_large") == 1


@pytest.mark.parametrize("how", ["refresh", "warm"])
async def test_a_refresh_that_must_not_be_stored_removes_the_old_entry(cache, how):
    words = Words(cache, ttl=lambda value: None if value == "gone" else 60)
    await words.read(1)
    words.values[1] = "gone"
    if how == "refresh":
        await words.read.refresh(1)
    else:
        counts = await warm(cache, words.read, [{"item": 1}], lambda calls: _values("gone"))
        assert (counts.written, counts.skipped, counts.failed) == (0, 1, 0)
        await aeventually(lambda: _is_gone(cache, words), within=30)
    assert await words.read(1) == "gone"
    assert not await words.is_stored()


async def _values(*values):
    return list(values)


async def _is_gone(cache, words):
    return not await cache.holds(words.read.key_for(1))


@pytest.mark.parametrize("many", [False, True])
async def test_a_stale_entry_goes_when_its_successor_must_not_be_stored(cache, clock, many):
    words = Words(cache, ttl=lambda value: None if value == "error" else 60, stale_ttl="1h")
    await words.read(1)
    words.values[1] = "error"
    clock.advance(61)
    read = (lambda: words.read_all([1])) if many else (lambda: words.read(1))
    assert await read() in ("word 1", ["word 1"])

    async def is_gone() -> bool:
        return await read() in ("error", ["error"])

    await aeventually(is_gone, within=30)


async def test_an_invalidation_during_such_a_load_gives_the_newer_value(cache):
    words = Words(cache, ttl=lambda value: None if value == "old" else 60)
    words.values[1] = "old"
    words.gate.shut()
    first = asyncio.ensure_future(words.read(1))
    await words.gate.reached()
    await words.read.invalidate(1)
    words.values[1] = "new"
    words.gate.open()
    assert await words.read(1) == "new"
    assert await first in ("old", "new")
    assert await words.is_stored()
    assert await words.read(1) == "new"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (-1, "not -1"),
        (math.nan, "not nan"),
        (math.inf, "not inf"),
        ("-5m", "'-5m' is not a duration"),
        (True, "a bool is not a duration"),
        (timedelta(days=4000), "ten years"),
        (object(), "a object is not a duration"),
    ],
)
async def test_a_wrong_ttl_is_logged_once_and_no_error_of_the_caller(cache, caplog, wrong, reason):
    words = Words(cache, ttl=lambda _: wrong)
    with caplog.at_level(logging.WARNING):
        assert await words.read(1) == "word 1"
        assert await words.read_all([1, 2]) == ["word 1", "word 2"]
        assert await words.read.refresh(1) == "word 1"
    (message,) = [text for text in caplog.messages if "ttl= function" in text]
    assert reason in message
    assert not await words.is_stored()


async def test_a_ttl_function_that_raises_does_not_show_the_value(cache, caplog):
    def ttl_of(value):
        raise ValueError(value)

    words = Words(cache, ttl=ttl_of)
    assert await words.read(1) == "word 1"
    assert "ttl= function raised ValueError" in caplog.text
    assert "word 1" not in caplog.text


async def test_an_entry_never_outlives_its_tags_nor_ends_with_them_too_early(cache, clock):
    words = Words(cache, ttl=lambda value: "2d" if value == "long" else 60, tags=("word:{item}", "all"))
    words.values.update({1: "long", 2: "long", 4: "long"})
    await words.read(1)
    await words.read_all([2, 3])
    await warm(cache, words.read, [{"item": 4}], lambda calls: _values("long"))
    clock.advance(2 * DAY - 10)
    assert [await words.is_stored(item) for item in (1, 2, 3, 4)] == [True, True, False, True]
    await cache.invalidate_tags("word:1")
    assert [await words.is_stored(item) for item in (1, 2)] == [False, True]
    await cache.invalidate_tags("all")
    assert [await words.is_stored(item) for item in (2, 4)] == [False, False]


async def test_max_bytes_counts_json_before_compression(cache, caplog):
    words = Words(cache, max_bytes=10_000)
    words.values.update({1: "a" * 9_998, 2: "a" * 9_999, 3: "b" * 1_000_000})
    with caplog.at_level(logging.WARNING):
        for item in (1, 2, 3):
            assert await words.read(item) == words.values[item]
        assert await words.read_all([1, 2, 3]) == [words.values[item] for item in (1, 2, 3)]
    assert [await words.is_stored(item) for item in (1, 2, 3)] == [True, False, False]
    assert words.counted("too_large") == 6
    (message,) = [text for text in caplog.messages if "max_bytes" in text]
    assert "10,001 bytes as JSON are more than max_bytes=10,000" in message


async def test_in_redis_the_tags_of_a_long_entry_live_as_long(open_cache, redis_server):
    cache = open_cache()
    words = Words(cache, ttl=lambda _: "2d", stale_ttl="1d", tags=("word:{item}",))
    await words.read(1)
    await words.read_all([2])
    await words.read.refresh(3)
    for item in (1, 2, 3):
        address = words.read.address(item=item)
        of_entry, of_tag = (redis_server.command("PTTL", key) for key in (address.key, *address.tag_keys))
        assert 2.5 * DAY * 1000 < of_entry <= of_tag


async def test_other_processes_that_wait_load_once_each_and_at_the_same_time(open_cache):
    here, elsewhere = Words(open_cache(), ttl=lambda _: None), Words(open_cache(), ttl=lambda _: None)
    for words in (here, elsewhere):
        words.gate.shut()
    first = asyncio.create_task(here.read(1))
    await here.gate.reached()
    waiters = [asyncio.create_task(elsewhere.read(1)) for _ in range(10)]
    await aeventually(lambda: waiting(elsewhere.cache) == 10, within=30)
    here.gate.open()
    assert await first == "word 1"
    await elsewhere.gate.reached()
    await aeventually(lambda: waiting(elsewhere.cache) == 10, within=30)
    elsewhere.gate.open()
    assert await asyncio.gather(*waiters) == ["word 1"] * 10
    assert (here.loads, elsewhere.loads) == ([1], [1])
