"""Serving the old value while one call loads the next, after its end; never an invalidated one."""

import asyncio
import contextlib

import pytest

from langcache_cli.caching._protocol.entry import parse
from langcache_cli.caching._protocol.lifetime import Lifetime
from tests.harness.polling import aeventually
from tests.integration.cache_support import make_stale
from tests.integration.stale_origin import Origin


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
