"""Whatever Redis does, callers get the function's value, in time; what is no outage is not taken for one."""

import asyncio
from collections.abc import Callable

import pytest

from langcache_cli.caching import Cache
from langcache_cli.caching._wire.breaker import LAST_PROBE_SECONDS
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, leftover_tasks
from tests.integration.outage import (
    ALL,
    BUDGET,
    CALLS,
    GONE,
    MARGIN,
    REFUSING,
    SILENT,
    is_hit,
    opens_breaker,
    timed,
    url_of,
)


@pytest.fixture
def open_cache(open_cache: Callable[..., Cache], redis_url: str) -> Callable[..., Cache]:
    """Caches with the budget that is the default."""
    return lambda url=redis_url, **settings: open_cache(url, **{"operation_timeout": BUDGET, **settings})


@pytest.mark.parametrize("name", ALL)
async def test_a_hundred_calls_at_once_get_their_values_in_time_from_one_run_each(open_cache, break_it, name):
    outage = break_it(name)
    database = Database(open_cache(url_of(outage)))
    assert await database.read(0) == [0, 0]
    outage.fault()
    answers = await asyncio.gather(*(timed(database.read, item) for item in range(1, CALLS + 1)))
    assert [value for value, _ in answers] == [[item, 0] for item in range(1, CALLS + 1)]
    assert max(seconds for _, seconds in answers) < BUDGET + MARGIN
    assert [database.reads[item] for item in range(1, CALLS + 1)] == [1] * CALLS
    outage.heal()
    await aeventually(lambda: is_hit(database, 1), within=LAST_PROBE_SECONDS + 10)
    assert await asyncio.gather(*(is_hit(database, item) for item in (1, 1, 1))) == [True] * 3


@pytest.mark.parametrize("name", [*SILENT, *GONE])
async def test_once_the_breaker_is_open_nothing_is_sent_and_nothing_is_waited_for(open_cache, break_it, name):
    outage = break_it(name)
    cache = open_cache(url_of(outage))
    database = Database(cache)
    await database.read(0)
    outage.fault()
    breaker = cache.runtime().server.node.breaker
    await aeventually(lambda: opens_breaker(database, breaker), within=60)
    await aeventually(lambda: leftover_tasks() == [], within=10)  # no probe is under way
    breaker._next_probe = float("inf")
    sent, opened = outage.proxy.requests.read, outage.proxy.connections
    for item in range(1, CALLS):
        await asyncio.sleep(0)  # calls of one turn of the event loop are spread over many
        assert _result_without_waiting(database.read(item)) == [item, 0]
    assert (outage.proxy.requests.read, outage.proxy.connections) == (sent, opened)
    assert cache.statistics_of(database.read)["bypassed"] >= CALLS - 1
    outage.heal()
    breaker._next_probe = 0.0
    await aeventually(lambda: is_hit(database, 1), within=LAST_PROBE_SECONDS + 10)


def _result_without_waiting(call):
    """The result of a coroutine that awaits nothing."""
    with pytest.raises(StopIteration) as ended:
        call.send(None)
    return ended.value.value


@pytest.mark.parametrize("name", REFUSING)
async def test_a_server_that_answers_no_is_not_taken_for_one_that_is_down(open_cache, break_it, name):
    outage = break_it(name)
    cache = open_cache(url_of(outage))
    database = Database(cache)
    assert await database.read(0) == [0, 0]
    outage.fault()
    for item in range(1, 20):
        assert await database.read(item) == [item, 0]
    assert not cache.runtime().server.node.breaker.open
    if name != "no permission":
        assert await is_hit(database, 0)


async def test_a_server_that_dies_in_mid_reply_gives_no_half_value(open_cache, break_it):
    outage = break_it("dies")
    cache = open_cache(url_of(outage))

    @cache.cached(key_prefix="vocabulary")
    async def long_text(item: int) -> str:
        return f"{item} " * 1000

    expected = [f"{item} " * 1000 for item in range(CALLS)]
    assert await asyncio.gather(*map(long_text, range(CALLS))) == expected
    for n_bytes in (1, 2, 7, 90, 1500, 60_000):
        outage.proxy.cut_reply_after(n_bytes)
        assert await asyncio.gather(*map(long_text, range(CALLS))) == expected
        await aeventually(lambda: cache.runtime().server.node.connection.alive or long_text(0), within=10)


@pytest.mark.parametrize("steps", [1, 2, 3], ids=["before it sends", "when it has sent", "before it reads"])
async def test_a_loop_too_busy_to_read_a_reply_in_time_is_no_outage(open_cache, steps):
    cache = open_cache(operation_timeout=1.5)
    database = Database(cache)
    await database.read(1)
    clock = asyncio.get_running_loop().time
    calls = [asyncio.create_task(database.read(1)) for _ in range(10)]
    for _ in range(steps):
        await asyncio.sleep(0)
    until = clock() + 2.0
    while clock() < until:
        pass  # what a heavy request does to its event loop
    assert await asyncio.gather(*calls) == [[1, 0]] * 10
    assert database.reads == {1: 1}
    assert not cache.runtime().server.is_down


@pytest.mark.parametrize("count", [3000, 10_000])
async def test_a_burst_of_calls_in_one_turn_of_the_loop_is_no_outage(open_cache, count):
    database = Database(open_cache())
    assert await asyncio.gather(*(database.read(1) for _ in range(count))) == [[1, 0]] * count
    assert database.reads == {1: 1}


async def test_a_burst_of_calls_for_different_keys_is_no_outage(open_cache):
    database = Database(open_cache())
    for _ in range(2):
        values = await asyncio.gather(*(database.read(item) for item in range(3000)))
        assert values == [[item, 0] for item in range(3000)]
        assert not database.cache.runtime().server.is_down
    assert database.cache.statistics_of(database.read)["hits"] > 0
