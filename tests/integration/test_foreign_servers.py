"""What is no Redis, cannot be found, sends what nobody asked for, or restricts its users."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from langcache_cli.caching import AuthenticationFailedError, Cache, CacheUnavailableError
from langcache_cli.caching._wire.breaker import LAST_PROBE_SECONDS
from tests.harness.polling import aeventually
from tests.integration.cache_support import PATIENCE_SECONDS, Database, leftover_tasks
from tests.integration.outage import BUDGET, CALLS, MARGIN, is_hit, timed


@pytest.fixture
def open_cache(open_cache: Callable[..., Cache], redis_url: str) -> Callable[..., Cache]:
    """Caches with the budget that is the default."""
    return lambda url=redis_url, **settings: open_cache(url, **{"operation_timeout": BUDGET, **settings})


async def test_a_wrong_password_costs_no_call_its_value_and_is_named(open_cache, own_redis):
    server = own_redis(password="right")
    cache = open_cache(f"redis://:wrong@127.0.0.1:{server.port}/0")
    database = Database(cache)
    with pytest.raises(AuthenticationFailedError) as failure:
        await cache.ping()
    assert "wrong" not in str(failure.value)
    assert await asyncio.gather(*map(database.read, range(CALLS))) == [[item, 0] for item in range(CALLS)]
    server.command("CONFIG", "SET", "requirepass", "wrong")
    server.password = "wrong"
    await aeventually(lambda: is_hit(database, 1), within=LAST_PROBE_SECONDS + 10)


@pytest.mark.parametrize(
    "command",
    [
        ("RPUSH", "{key}", "x"),
        ("HSET", "{key}", "x", "y"),
        ("SET", "{key}", "{{}}"),
        ("SET", "{key}", ""),
        ("SET", "{key}", b"\xff\xfe" * 200),
        (
            "SET",
            "{key}",
            f"lc1 entry id={7:016x} leased={0:013} created=1 fresh=2 load_us=3 schema=00000000\n[7,7]",
        ),
    ],
    ids=["list", "hash", "JSON", "nothing", "binary", "another schema"],
)
async def test_foreign_data_under_a_key_is_replaced_and_never_returned(open_cache, redis_server, command):
    database = Database(open_cache(operation_timeout=PATIENCE_SECONDS))
    key = database.read.key_for(1)
    name, _, *arguments = command
    redis_server.command(name, key, *arguments)
    assert await asyncio.gather(*(database.read(1) for _ in range(CALLS))) == [[1, 0]] * CALLS
    assert database.reads == {1: 1}
    assert await is_hit(database, 1)


@pytest.mark.parametrize("kept", [0, 12, 29, 60, 100, -1], ids=lambda kept: f"cut at {kept}")
async def test_a_truncated_entry_is_replaced(open_cache, redis_server, kept):
    database = Database(open_cache(operation_timeout=PATIENCE_SECONDS))
    await database.read(1)
    key = database.read.key_for(1)
    whole = redis_server.command("GET", key)
    redis_server.command("SET", key, whole[:kept], "KEEPTTL")
    assert await database.read(1) == [1, 0]
    assert await is_hit(database, 1)


async def test_a_server_that_sends_what_nobody_asked_for_is_not_listened_to(open_cache):
    """Else every later reply would be taken for that to the next request: another key's value."""

    async def chatty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                writer.write(b"+PONG\r\n$3\r\nold\r\n")
                await writer.drain()
        writer.close()

    async with serving(chatty) as port:
        cache = open_cache(f"redis://127.0.0.1:{port}/0")
        for _ in range(3):
            with contextlib.suppress(CacheUnavailableError):
                assert await cache.runtime().server.call("GET", "key") != b"old"


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x46"])
async def test_what_is_not_a_redis_server_is_a_cache_that_is_down(open_cache, greeting):
    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                writer.write(greeting)
                await writer.drain()
        writer.close()

    async with serving(stranger) as port:
        database = Database(open_cache(f"redis://127.0.0.1:{port}/0"))
        assert await asyncio.gather(*map(database.read, range(10))) == [[item, 0] for item in range(10)]


@contextlib.asynccontextmanager
async def serving(handler) -> AsyncIterator[int]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await aeventually(lambda: leftover_tasks() == [], within=10)


async def test_a_user_who_may_not_choose_the_database_does_not_end_up_in_another_one(open_cache, own_redis):
    server = own_redis()
    server.command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-select")
    database = Database(open_cache(f"redis://app:pw@127.0.0.1:{server.port}/3"))
    assert await database.read(1) == [1, 0]
    assert server.command("DBSIZE") == 0


async def test_a_user_who_may_not_ping_can_use_the_cache(open_cache, own_redis):
    server = own_redis()
    server.command("ACL", "SETUSER", "app", "on", ">pw", "~cache:*", "+@all", "-ping", "-@admin")
    url = f"redis://app:pw@127.0.0.1:{server.port}/0"
    database = Database(open_cache(url, operation_timeout=PATIENCE_SECONDS))
    assert await database.read(1) == [1, 0]
    assert await is_hit(database, 1)


@pytest.mark.parametrize("host", ["does-not-exist.invalid", "a..b", "x" * 80])
async def test_a_host_that_cannot_be_found_is_a_cache_that_is_down(open_cache, host):
    database = Database(open_cache(f"redis://{host}:6379/0"))
    for item in range(5):
        value, seconds = await timed(database.read, item)
        assert value == [item, 0]
        assert seconds < BUDGET + MARGIN
    await aeventually(lambda: leftover_tasks() == [], within=10)
