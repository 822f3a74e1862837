"""Whatever Redis does, an error of the function is its own, and what was not confirmed is said."""

import asyncio
from collections.abc import Callable

import pytest
import redis.exceptions

from langcache_cli.caching import Cache, CacheUnavailableError, PatternError
from tests.integration.cache_support import Database
from tests.integration.outage import ALL, BUDGET, timed, url_of


@pytest.fixture
def open_cache(open_cache: Callable[..., Cache], redis_url: str) -> Callable[..., Cache]:
    """Caches with the budget that is the default."""
    return lambda url=redis_url, **settings: open_cache(url, **{"operation_timeout": BUDGET, **settings})


@pytest.mark.parametrize("name", ALL)
async def test_an_invalidation_that_redis_did_not_confirm_raises_if_it_is_not_to_be_kept(
    open_cache, break_it, name
):
    outage = break_it(name)
    cache = open_cache(url_of(outage), defer_invalidations=False)
    database = Database(cache)
    await database.read(1)
    cache.runtime().bulk_server.timeout = 0.2
    outage.fault()
    if name == "out of memory":  # removing needs no memory
        assert await database.read.invalidate(1)
        return
    for attempt in (
        lambda: database.read.invalidate(1),
        lambda: cache.delete("vocabulary:1"),
        lambda: cache.invalidate("cache:*"),
        lambda: cache.invalidate_type("vocabulary"),
        lambda: cache.invalidate_tags("word:1"),
    ):
        with pytest.raises(CacheUnavailableError):
            await attempt()


@pytest.mark.parametrize("name", ALL)
async def test_a_refresh_that_redis_did_not_confirm_raises_and_ran_the_function_at_most_once(
    open_cache, break_it, name
):
    outage = break_it(name)
    database = Database(open_cache(url_of(outage)))
    outage.fault()
    with pytest.raises(CacheUnavailableError):
        await database.read.refresh(1)
    assert database.reads[1] <= 1


@pytest.mark.parametrize("name", ["killed", "stopped", "refused"])
async def test_a_value_loaded_when_redis_goes_away_reaches_its_caller(open_cache, break_it, name):
    outage = break_it(name)
    database = Database(open_cache(url_of(outage)), held=True)
    calls = [asyncio.create_task(timed(database.read, item)) for item in range(20)]
    await database.gate.reached(20)
    outage.fault()
    database.gate.open()
    assert [value for value, _ in await asyncio.gather(*calls)] == [[item, 0] for item in range(20)]
    assert [database.reads[item] for item in range(20)] == [1] * 20


ORIGIN_ERRORS = [
    redis.exceptions.ConnectionError("mine"),
    redis.exceptions.TimeoutError("mine"),
    redis.exceptions.ResponseError("mine"),
    OSError("mine"),
    ConnectionResetError("mine"),
    TimeoutError("mine"),
    CacheUnavailableError("mine", target="elsewhere"),
    ValueError("mine"),
    KeyError("mine"),
    StopAsyncIteration("mine"),
]


@pytest.mark.parametrize(
    "error", ORIGIN_ERRORS, ids=lambda error: type(error).__module__ + type(error).__name__
)
@pytest.mark.parametrize("name", ["none", "killed", "out of memory"])
async def test_an_error_of_the_function_is_never_taken_for_one_of_redis(open_cache, break_it, name, error):
    outage = break_it(name)
    cache = open_cache(url_of(outage))
    database = Database(cache)
    database.error = type(error)(*error.args) if not isinstance(error, CacheUnavailableError) else error
    outage.fault()
    with pytest.raises(type(error)) as raised:
        await database.read(1)
    assert raised.value is database.error
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert database.reads == {1: 1}
    assert not cache.runtime().server.node.breaker.open
    if name == "none":
        database.error = None
        assert await database.read(1) == [1, 0]
        assert database.reads == {1: 2}


async def test_an_error_of_the_function_after_the_cache_failed_is_not_chained_to_that_failure(
    open_cache, break_it
):
    outage = break_it("killed")
    database = Database(open_cache(url_of(outage)))
    outage.fault()
    database.error = LookupError("no such word")
    for _ in range(10):  # until the breaker is open, and after
        with pytest.raises(LookupError) as raised:
            await database.read(1)
        assert (raised.value.__cause__, raised.value.__context__) == (None, None)


async def test_text_that_no_key_can_hold_is_the_callers_error_and_no_outage(cache):
    database = Database(cache)
    for _ in range(5):
        with pytest.raises(PatternError):
            await cache.invalidate("cache:\ud800*")
    assert not cache.runtime().bulk_server.is_down
    assert await database.read(1) == [1, 0]
