"""Counters on their way to Redis: added once, to their own minute, whatever happens on the way."""

import time

import pytest

from langcache_cli.caching import CacheUnavailableError
from langcache_cli.caching._statistics.fleet.history import History
from langcache_cli.caching._statistics.fleet.tiers import MINUTES
from langcache_cli.caching.tooling import Label
from tests.harness.polling import aeventually
from tests.integration.cache_support import redis_answers

WORD = Label("vocabulary", "vocabulary", "read")
NOW = int(time.time()) // 3600 * 3600 + 1800


def count(cache, hits: int = 1, label: Label = WORD) -> None:
    cache.statistics.add(label, "hits", hits)


async def hits(cache) -> int:
    return (await cache.report()).total["hits"]


async def test_a_delivery_whose_confirmation_is_lost_is_counted_once(open_cache, one_redis, fault_proxy):
    proxy = fault_proxy(one_redis.port)
    cache, reader = open_cache(f"redis://127.0.0.1:{proxy.port}/0"), open_cache(one_redis.url)
    count(cache)
    await cache.runtime().publisher.now()  # Redis knows the script and the labels
    for before in (1, 12, 23):
        count(cache, 10)
        proxy.swallow_replies()
        with pytest.raises(CacheUnavailableError):
            await cache.runtime().publisher.now(within=0.2)
        await aeventually(lambda before=before: _has(reader, before + 10))
        count(cache, 1)
        proxy.heal()
        await aeventually(lambda: _delivers(cache))
        assert await hits(reader) == before + 11


async def _has(reader, at_least: int) -> bool:
    return await hits(reader) >= at_least


async def _delivers(cache) -> bool:
    try:
        await cache.runtime().publisher.now()
    except CacheUnavailableError:
        return False
    return True


async def test_a_delivery_that_a_hanging_redis_executes_later_is_counted_once(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url)
    count(cache, 5)
    await cache.runtime().publisher.now()
    server.pause()
    count(cache, 7)
    for _ in range(3):
        with pytest.raises(CacheUnavailableError):
            await cache.runtime().publisher.now(within=0.1)
    server.resume()
    await aeventually(lambda: _delivers(cache))
    assert await hits(cache) == 12


async def test_a_cache_that_is_closed_soon_after_an_outage_delivers_its_counts(open_cache, own_redis):
    """The connection for statistics tries less often than calls do, and may not know that Redis is back."""
    server = own_redis(appendonly=True)
    cache, reader = open_cache(server.url, operation_timeout=1.0), open_cache(server.url)
    await cache.ping()
    count(cache, 5)
    server.kill()
    breaker = cache.runtime().bulk_server.node.breaker
    await aeventually(lambda: _fails(cache) if not breaker.open else True)
    server.start()
    await aeventually(lambda: redis_answers(cache))
    breaker._next_probe = float("inf")
    assert breaker.open
    await cache.aclose()
    assert await hits(reader) == 5


async def _fails(cache) -> bool:
    """Deliver in vain; False until the next look."""
    with pytest.raises(CacheUnavailableError):
        await cache.runtime().publisher.now(within=0.2)
    return False


async def test_counts_that_come_late_are_those_of_their_minute(one_cache):
    runtime = one_cache.runtime()
    runtime.publisher._now_ms = runtime.publisher.writer._now_ms = runtime.fleet.reader._now_ms = lambda: (
        1000 * NOW
    )
    writer, reader = runtime.publisher.writer, runtime.fleet.reader
    await writer.add({NOW: {WORD: {"hits": 1}}, NOW - 60: {WORD: {"hits": 2}}})
    assert await reader.late_minutes(NOW) == set()
    await writer.add({NOW - 600: {WORD: {"hits": 4}}, NOW - 3600: {WORD: {"hits": 8}}})
    minutes = {start: [start] for start in range(NOW - 7200, NOW + 60, 60)}
    found = await reader.read_steps(MINUTES, minutes)
    assert {start: counts[WORD]["hits"] for start, counts in found.items() if counts} == {
        NOW: 1, NOW - 60: 2, NOW - 600: 4, NOW - 3600: 8,
    }  # fmt: skip
    assert await reader.late_minutes(NOW) == {NOW - 600, NOW - 3600}
    assert await reader.late_minutes(NOW - 3600) == {NOW - 600, NOW - 3600}


def shown(steps) -> dict[int, int]:
    return {start: counts[WORD]["hits"] for start, counts in steps.counts.items() if WORD in counts}


@pytest.mark.parametrize(
    ("window", "step"), [(3600, 60), (6 * 3600, 300), (24 * 3600, 900), (7 * 86400, 3600)]
)
async def test_a_history_reads_again_only_what_may_have_changed(one_cache, one_redis, window, step):
    now = first = NOW // 3600 * 3600
    runtime = one_cache.runtime()
    writer, reader = runtime.publisher.writer, runtime.fleet.reader
    writer._now_ms = reader._now_ms = lambda: 1000 * now
    history = History(reader, window_seconds=window, step_seconds=step, now_ms=lambda: 1000 * now)
    oldest = first - window
    await writer.add(
        {first: {WORD: {"hits": 1}}, first - step: {WORD: {"hits": 2}}, oldest: {WORD: {"hits": 4}}}
    )
    steps = await history.read()
    assert steps.at == tuple(range(oldest, first + 1, step))
    assert shown(steps) == {first: 1, first - step: 2, oldest: 4}
    assert steps.total == {WORD: {"hits": 7}}
    now = first + 10
    await history.read()
    one_redis.command("CONFIG", "RESETSTAT")
    now = first + 45  # the step before is final once it is read now
    await writer.add({first: {WORD: {"hits": 10}}, first - step: {WORD: {"hits": 20}}})
    steps = await history.read()
    assert shown(steps) == {first: 11, first - step: 22, oldest: 4}
    assert set(steps.at) - steps.final == {first}
    reads = int(one_redis.command("INFO", "commandstats").split(b"cmdstat_hgetall:calls=")[1].split(b",")[0])
    assert reads <= 12
    now = first + step + 5
    await writer.add({first - step: {WORD: {"hits": 100}}})  # late
    steps = await history.read()
    assert shown(steps) == {first: 11, first - step: 122}  # the oldest is no longer in the window
    assert steps.total == {WORD: {"hits": 133}}
    now = first + 600
    await writer.add({first - step: {WORD: {"hits": 1000}}})  # late, and not read before its note has ended
    for key in one_redis.command("KEYS", "cache@stats:*:1m:*"):
        one_redis.command("UNLINK", key)
    now = first + 4 * 3600
    assert shown(await history.read()).get(first - step) == (None if window == 3600 else 1122)
    now = first + window + 4 * 3600
    assert (await history.read()).total == {}  # a function that is not called any more is not listed


async def test_a_minute_ends_on_the_clock(one_cache, monkeypatch):
    """A delivery that is due in the next minute leaves what was counted before it to this one."""
    runtime = one_cache.runtime()
    now = NOW + 59.9
    runtime.publisher._now_ms = lambda: round(1000 * now)
    runtime.publisher._every_seconds = 3600.0
    count(one_cache, 1)
    runtime.publisher.soon()
    await aeventually(lambda: WORD in one_cache.statistics._dated.get(NOW, {}))
    now = NOW + 61.0
    await aeventually(lambda: runtime.publisher._minute == NOW + 60)
    count(one_cache, 2)
    assert one_cache.statistics.take(runtime.publisher._minute) == {
        NOW: {WORD: {"hits": 1}},
        NOW + 60: {WORD: {"hits": 2}},
    }


async def test_after_redis_has_lost_everything_the_numbers_are_shown_again(one_cache, one_redis):
    count(one_cache, 3)
    assert await hits(one_cache) == 3
    one_redis.command("FLUSHALL")
    assert await hits(one_cache) == 0
    count(one_cache, 4)
    assert await hits(one_cache) == 4


async def test_hashes_stay_in_the_compact_form(one_cache, one_redis):
    for number in range(100):
        label = Label("vocabulary", "vocabulary", f"function_{number}")
        for counter in ("hits", "misses", "loads", "bytes_read", "bytes_written", "near", "joined"):
            one_cache.statistics.add(label, counter, 1000)
        for bucket in range(12):
            one_cache.statistics.time(label, "hit", 0.0002 * 1.19**bucket)
            one_cache.statistics.time(label, "load", 0.02 * 1.19**bucket)
    await one_cache.report()
    keys = one_redis.command("KEYS", "cache@stats:*:[15][mh]:*")
    assert {one_redis.command("OBJECT", "ENCODING", key) for key in keys} <= {b"ziplist", b"listpack"}


async def test_a_node_that_is_away_keeps_no_counts_of_the_others(open_cache, redis_cluster):
    cache = open_cache(redis_cluster.url, operation_timeout=1.0)
    labels = [Label("vocabulary", "vocabulary", f"function_{number}") for number in range(60)]
    for label in labels:
        count(cache, 1, label)
    assert await hits(cache) == 60
    keys = [f"cache@stats:{{{part}}}:1m:0" for part in range(16)]
    node = next(
        node
        for node in redis_cluster.primaries
        if redis_cluster.node_of("cache@stats:labels") is not node
        and any(redis_cluster.node_of(key) is node for key in keys)
    )
    redis_cluster.stop(node)
    for label in labels:
        count(cache, 1, label)
    with pytest.raises(CacheUnavailableError):
        await cache.runtime().publisher.now()
    left = sum(
        items["hits"] for of_minute in cache.statistics._dated.values() for items in of_minute.values()
    )
    sent = sum(
        items["hits"]
        for portion in cache.runtime().publisher.writer._unconfirmed.values()
        for items in portion.counts.values()
    )
    assert 0 < left + sent < 60
    redis_cluster.cont(node)
    await aeventually(lambda: _delivers(cache), within=60)
    assert await hits(cache) == 120
