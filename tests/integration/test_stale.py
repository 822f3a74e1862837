"""Serving the old value while one call loads the next, before its end and after; never an invalidated one."""

import asyncio
import contextlib
import json
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from langcache_cli.caching import Cache
from langcache_cli.caching._protocol.entry import parse
from langcache_cli.caching._protocol.lifetime import Lifetime
from tests.harness.polling import aeventually
from tests.integration.cache_support import Gate, make_stale


class Origin:
    """A counter behind the cache that can be held and broken."""

    def __init__(self, cache: Cache, **options: Any) -> None:
        self.cache = cache
        self.version = 0
        self.loads = 0
        self.error: Exception | None = None
        self.gate = Gate(is_open=True)

        @cache.cached(key_prefix="episodes", **options)
        async def read(item: int) -> list[int]:
            return await self._load(item)

        @cache.cached(key_prefix="subtitles", **options)
        async def read_with(item: int, session: AsyncSession) -> list[int]:
            return await self._load(item)

        self.read, self._read_with = read, read_with

    async def in_session(self, item: int) -> list[int]:
        """A function that takes a database session."""
        return await self._read_with(item, None)

    async def _load(self, item: int) -> list[int]:
        self.loads += 1
        value = [item, self.version]
        await self.gate()
        if self.error is not None:
            raise self.error
        return value

    def counted(self, name: str) -> int:
        return self.cache.statistics_of(self.read)[name] + self.cache.statistics_of(self._read_with)[name]


@pytest.fixture
def origin(cache) -> Origin:
    return Origin(cache, ttl=60, stale_ttl=600)


async def test_an_entry_is_kept_for_its_fresh_and_its_stale_time(origin, redis_server):
    await origin.read(1)
    assert 600_000 + 56_000 < redis_server.command("PTTL", origin.read.key_for(1)) <= 660_000


async def test_a_stale_value_is_served_at_once_and_its_successor_soon_after(origin, redis_server):
    await origin.read(1)
    make_stale(redis_server, origin.read.key_for(1))
    origin.version = 1
    origin.gate.shut()
    assert [await origin.read(1) for _ in range(20)] == [[1, 0]] * 20
    await origin.gate.reached(2)
    assert origin.loads == 2
    origin.gate.open()

    async def fresh() -> bool:
        return await origin.read(1) == [1, 1]

    await aeventually(fresh)
    assert origin.loads == 2
    assert origin.counted("stale") >= 20


async def test_a_function_with_a_session_loads_in_the_call_that_was_elected(origin, redis_server):
    await origin.in_session(1)
    make_stale(redis_server, origin._read_with.key_for(1))
    origin.version = 1
    origin.gate.shut()
    elected = asyncio.create_task(origin.in_session(1))
    await origin.gate.reached(2)
    assert [await origin.in_session(1) for _ in range(20)] == [[1, 0]] * 20
    origin.gate.open()
    assert await elected == [1, 1]
    assert await origin.in_session(1) == [1, 1]
    assert origin.loads == 2


@pytest.mark.parametrize("how", ["background", "foreground"])
async def test_a_failing_origin_is_hidden_until_the_stale_time_ends_and_then_shown(
    open_cache, redis_server, how, caplog
):
    origin = Origin(open_cache(lease_seconds=0.2), ttl=60, stale_ttl=600)
    read = origin.read if how == "background" else origin.in_session
    key = (origin.read if how == "background" else origin._read_with).key_for(1)
    await read(1)
    make_stale(redis_server, key)
    origin.error = LookupError("the database is away")

    async def tried(times: int) -> bool:
        assert await read(1) == [1, 0]
        return origin.loads >= times

    await aeventually(lambda: tried(4))  # again and again, a lease apart
    assert origin.counted("load_errors") >= 3
    assert "its stored value is served" in caplog.text
    redis_server.command("PEXPIRE", key, 1)
    await aeventually(lambda: redis_server.command("EXISTS", key) == 0)
    with pytest.raises(LookupError, match="the database is away"):
        await read(1)
    origin.error, origin.version = None, 1
    assert await read(1) == [1, 1]


async def test_after_a_failure_nobody_tries_again_before_the_lease_ends(origin, redis_server):
    await origin.read(1)
    make_stale(redis_server, origin.read.key_for(1))
    origin.error = LookupError()
    await origin.read(1)
    await aeventually(lambda: origin.counted("load_errors") == 1)
    for _ in range(50):
        await origin.read(1)
    assert origin.loads == 2


@pytest.mark.parametrize("how", ["function", "tag", "pattern", "type", "bare"])
async def test_an_invalidated_value_is_never_served_stale(cache, redis_server, how):
    origin = Origin(cache, ttl=60, stale_ttl=600, tags=("item:{item}",))
    await origin.read(1)
    key = origin.read.key_for(1)
    make_stale(redis_server, key)
    origin.gate.shut()
    assert await origin.read(1) == [1, 0]
    await origin.gate.reached(2)  # the successor is being loaded, too old by now
    origin.version = 1
    match how:
        case "function":
            assert await origin.read.invalidate(1)
        case "tag":
            assert await cache.invalidate_tags("item:1") == 1
        case "pattern":
            assert await cache.invalidate("cache:episodes:*") == 1
        case "type":
            assert await cache.invalidate_type("video") == 1
        case "bare":
            redis_server.command("DEL", key)
    after = asyncio.create_task(origin.read(1))
    await origin.gate.reached(3)
    origin.gate.open()
    assert await after == [1, 1]
    await aeventually(lambda: not cache.runtime().running_loads)
    assert await origin.read(1) == [1, 1]
    assert origin.loads == 3


async def test_an_invalidated_value_is_not_served_when_the_origin_fails_either(origin, redis_server):
    await origin.read(1)
    make_stale(redis_server, origin.read.key_for(1))
    await origin.read.invalidate(1)
    origin.error = LookupError("gone")
    with pytest.raises(LookupError, match="gone"):
        await origin.read(1)


async def test_when_the_old_value_ends_during_the_load_of_the_next_calls_wait_for_that_load(
    open_cache, redis_server
):
    origin = Origin(open_cache(lease_seconds=1.0), ttl=0.2, stale_ttl=0.3)
    await origin.read(1)
    origin.version = 1
    origin.gate.shut()

    async def loading() -> bool:
        await origin.read(1)
        return origin.loads == 2

    await aeventually(loading, every=0.001)
    ended = parse(redis_server.command("GET", origin.read.key_for(1)))
    await aeventually(lambda: Lifetime(0.2, 0.3).has_ended(ended, origin.cache.runtime().now_ms()))
    waiting = [asyncio.create_task(origin.read(1)) for _ in range(20)]
    await aeventually(lambda: len(origin.cache.runtime().running_loads))
    origin.gate.open()
    assert await asyncio.gather(*waiting) == [[1, 1]] * 20
    assert origin.loads == 2


async def test_the_elected_call_may_be_cancelled_and_another_is_elected_when_its_lease_ends(
    open_cache, redis_server
):
    origin = Origin(open_cache(lease_seconds=0.2), ttl=60, stale_ttl=600)
    await origin.in_session(1)
    make_stale(redis_server, origin._read_with.key_for(1))
    origin.version = 1
    origin.gate.shut()
    elected = asyncio.create_task(origin.in_session(1))
    await origin.gate.reached(2)
    elected.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await elected
    origin.gate.open()

    async def replaced() -> bool:
        return await origin.in_session(1) == [1, 1]

    await aeventually(replaced)
    assert origin.loads == 3


async def test_closing_the_cache_ends_a_load_in_the_background(open_cache, redis_server):
    origin = Origin(open_cache(operation_timeout=0.1), ttl=60, stale_ttl=600)
    await origin.read(1)
    make_stale(redis_server, origin.read.key_for(1))
    origin.gate.shut()
    await origin.read(1)
    await origin.gate.reached(2)
    await origin.cache.aclose()  # and the fixture looks for what it left


async def test_while_redis_is_away_a_stale_value_is_no_excuse(own_redis, open_cache):
    server = own_redis()
    origin = Origin(open_cache(server.url, operation_timeout=0.5), ttl=60, stale_ttl=600)
    await origin.read(1)
    server.stop()
    origin.version = 1
    assert await origin.read(1) == [1, 1]


async def test_an_entry_is_refreshed_early_by_one_of_its_callers(cache, redis_server):
    origin = Origin(cache, ttl=60, early_refresh=1)
    await origin.read(1)
    key = origin.read.key_for(1)
    data = redis_server.command("GET", key)
    load_us = parse(data).load_us
    slow = data.replace(f"load_us={load_us} ".encode(), f"load_us={3600 * 10**6} ".encode(), 1)
    redis_server.command("SET", key, slow, "KEEPTTL")  # a load of an hour: it cannot begin early enough
    origin.version = 1
    origin.gate.shut()

    async def begun() -> bool:
        assert await origin.read(1) == [1, 0]
        return origin.loads == 2

    await aeventually(begun)
    assert [await origin.read(1) for _ in range(50)] == [[1, 0]] * 50
    origin.gate.open()

    async def replaced() -> bool:
        return await origin.read(1) == [1, 1]

    await aeventually(replaced)
    assert origin.loads == 2
    assert origin.counted("stale") == 0


async def test_without_early_refresh_a_fresh_entry_is_left_alone(cache):
    origin = Origin(cache, ttl=60, stale_ttl=60)
    for _ in range(50):
        await origin.read(1)
    assert origin.loads == 1


def test_early_refresh_is_likelier_the_nearer_the_end_and_the_longer_the_load():
    entry = parse(
        b"lc1 entry id=%016x leased=%013d created=0 fresh=100000 load_us=1000000 schema=00000000\n" % (1, 0)
    )
    lifetime = Lifetime(100, early_refresh=1)

    def share(now_ms: int, lifetime: Lifetime = lifetime) -> float:
        return sum(lifetime.draw_refresh(entry, now_ms) for _ in range(4000)) / 4000

    # XFetch: P(due) = exp(-(time left) / (beta * load time))
    assert share(98_000) == pytest.approx(0.135, abs=0.04)
    assert share(99_000) == pytest.approx(0.368, abs=0.04)
    assert share(99_000, Lifetime(100, early_refresh=2)) == pytest.approx(0.607, abs=0.04)
    assert share(50_000) == 0
    assert share(100_000) == 1


async def test_ttls_are_spread_and_never_longer_than_they_were_asked_for(cache, redis_server):
    origin = Origin(cache, ttl=1000)
    for item in range(40):
        await origin.read(item)
    entries = [parse(redis_server.command("GET", origin.read.key_for(item))) for item in range(40)]
    ttls = {entry.fresh_until_ms - entry.created_ms for entry in entries}
    assert len(ttls) > 20
    assert 950_000 <= min(ttls) < 980_000 < max(ttls) <= 1_000_000


async def test_without_jitter_a_ttl_is_what_it_says(open_cache, redis_server):
    origin = Origin(open_cache(ttl_jitter=0), ttl=1000)
    await origin.read(1)
    entry = parse(redis_server.command("GET", origin.read.key_for(1)))
    assert entry.fresh_until_ms - entry.created_ms == 1_000_000
    assert json.loads(entry.payload) == [1, 0]


@pytest.mark.parametrize(
    "options", [{"stale_ttl": -1}, {"stale_ttl": float("inf")}, {"early_refresh": -1}, {"early_refresh": 101}]
)
def test_times_that_mean_nothing_are_refused(cache, options):
    with pytest.raises(TypeError, match=f"{next(iter(options))} must be"):

        @cache.cached(key_prefix="times", **options)
        async def load() -> int: ...


async def test_a_value_that_is_invalidated_while_its_successor_fails_to_load_is_not_served(
    origin, redis_server
):
    await origin.in_session(1)
    key = origin._read_with.key_for(item=1)
    make_stale(redis_server, key)
    origin.error = OSError("no database")
    assert await origin.in_session(1) == [1, 0]  # what a failure is for
    redis_server.command("DEL", key)
    origin.error = None
    await origin.in_session(1)
    make_stale(redis_server, key)
    origin.error = OSError("no database")
    origin.gate.shut()
    call = asyncio.create_task(origin.in_session(1))
    await origin.gate.reached(4)
    assert await origin._read_with.invalidate(item=1)
    origin.gate.open()
    with pytest.raises(OSError, match="no database"):
        await call
