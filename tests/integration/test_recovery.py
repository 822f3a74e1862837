"""The cache comes back by itself: after a restart, a lost connection, an outage."""

import asyncio
import time
from collections.abc import Callable

import pytest

from langcache_cli.caching import Cache, CacheUnavailableError, ServerLoadingError, cached_many
from langcache_cli.caching._wire.breaker import LAST_PROBE_SECONDS
from langcache_cli.caching._wire.budget import Budget
from tests.harness.polling import aeventually
from tests.harness.resp import RespError
from tests.harness.shared_redis import clients_of
from tests.integration.cache_support import PATIENCE_SECONDS, Database, leftover_tasks, redis_answers
from tests.integration.outage import BUDGET, CALLS, MARGIN, is_hit, opens_breaker, timed, url_of


@pytest.fixture
def open_cache(open_cache: Callable[..., Cache], redis_url: str) -> Callable[..., Cache]:
    """Caches with the budget that is the default."""
    return lambda url=redis_url, **settings: open_cache(url, **{"operation_timeout": BUDGET, **settings})


async def test_connections_killed_by_the_server_harm_no_call(open_cache, own_redis):
    server = own_redis()
    database = Database(open_cache(server.url))
    for _ in range(20):
        calls = [asyncio.create_task(database.read(item)) for item in range(CALLS)]
        await asyncio.sleep(0)
        server.command("CLIENT", "KILL", "TYPE", "normal")
        assert await asyncio.gather(*calls) == [[item, 0] for item in range(CALLS)]
    await aeventually(lambda: is_hit(database, 1), within=10)


async def test_an_idle_connection_that_was_closed_costs_nothing(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url, operation_timeout=PATIENCE_SECONDS)
    database = Database(cache)
    await database.read(1)
    server.command("CLIENT", "KILL", "TYPE", "normal")
    await aeventually(lambda: not cache.runtime().server.node.connection.alive)
    assert await is_hit(database, 1)


async def test_a_restart_costs_no_call_its_value(open_cache, own_redis):
    server = own_redis()
    database = Database(open_cache(server.url))
    assert await database.read(1) == [1, 0]
    server.restart()
    assert await database.read(1) == [1, 0]
    await aeventually(lambda: is_hit(database, 1), within=10)


async def test_calls_do_without_a_server_that_is_still_loading_its_data(open_cache, own_redis):
    server = own_redis(config=["key-load-delay 50000", "rdbcompression no"])
    with server.connect() as connection:
        for number in range(40):  # it answers between every two megabytes that it loads
            connection.call("SET", f"filler:{number}", b"x" * 2**20)
    server.command("SAVE")
    server.kill()
    server._spawn()  # `start` would wait until it is ready
    database = Database(open_cache(server.url, defer_invalidations=False))
    await aeventually(lambda: _is_loading(server), within=10)
    answers = await asyncio.gather(*(timed(database.read, item) for item in range(CALLS)))
    assert [value for value, _ in answers] == [[item, 0] for item in range(CALLS)]
    assert max(seconds for _, seconds in answers) < BUDGET + MARGIN
    with pytest.raises((ServerLoadingError, CacheUnavailableError)):
        await database.read.invalidate(1)
    server.wait_ready(30)
    await aeventually(lambda: is_hit(database, 1), within=LAST_PROBE_SECONDS + 10)


def _is_loading(server):
    try:
        return server.command("PING") != "PONG"
    except RespError as error:
        return str(error).startswith("LOADING")
    except ConnectionError:
        return False


async def test_a_connection_made_while_the_breaker_opened_is_not_left_open(open_cache, break_it):
    outage = break_it("late")
    cache = open_cache(url_of(outage))
    server = cache.runtime().server
    outage.proxy.delay(0.03)
    calls = [server.call("PING", budget=Budget(0.01)) for _ in range(3)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [CacheUnavailableError] * 3
    assert server.node.breaker.open
    await aeventually(lambda: server.node.connection is not None and server.node.connection.alive)
    outage.proxy.heal()
    await aeventually(lambda: redis_answers(cache), within=10)
    await aeventually(lambda: clients_of(outage.server) == 1)


async def test_recovery_is_found_by_one_connection_at_a_time(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url)
    database = Database(cache)
    await database.read(1)
    server.pause()
    breaker = cache.runtime().server.node.breaker
    await aeventually(lambda: opens_breaker(database, breaker), within=60)
    for _ in range(3):
        breaker._next_probe = 0.0
        await asyncio.gather(*(database.read(item) for item in range(CALLS)))
        assert len([name for name in leftover_tasks() if "langcache" in name]) <= 1
    server.resume()
    await aeventually(lambda: is_hit(database, 1), within=LAST_PROBE_SECONDS + 10)
    await aeventually(lambda: clients_of(server) == 1)


@pytest.mark.parametrize("kind", ["function", "many", "get", "set"])
async def test_calls_that_never_suspend_do_not_keep_the_process_from_recovering(open_cache, own_redis, kind):
    server = own_redis()
    cache = open_cache(server.url, operation_timeout=0.5)

    @cache.cached(key_prefix="vocabulary")
    async def word(item: int) -> int:
        return item

    @cached_many(word, each="items")
    async def words(items: list[int]) -> list[int]:
        return items

    calls = {
        "function": lambda: word(1),
        "many": lambda: words([1, 2]),
        "get": lambda: cache.get("user_stats:1"),
        "set": lambda: cache.set("user_stats:1", 1),
    }
    await word(1)
    server.kill()
    breaker = cache.runtime().server.node.breaker
    while not breaker.open:
        await word(1)
    server.start()
    ends = time.monotonic() + 5
    while breaker.open and time.monotonic() < ends:
        await calls[kind]()
    assert not breaker.open
