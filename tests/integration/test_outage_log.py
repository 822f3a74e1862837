"""What the log says: one line when an outage begins, one when it ends, one for values that are too large."""

import asyncio
import base64
import random
import re

from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, cache_at

LOST = re.compile(r"Redis is lost, and calls run their functions until it is back: .*\(redis://.*\)")
BACK = re.compile(r"Redis is back after \d+\.\d s; (\d+) calls went without it")


def lines(caplog) -> list[str]:
    return [text for text in caplog.messages if text.startswith("Redis is ")]


async def answers(cache) -> bool:
    return await cache.set("user_stats:1", 1)


async def test_redis_lost_and_back_are_one_line_each(open_cache, own_redis, caplog):
    server = own_redis(password="secret")
    database = Database(open_cache(server.url, operation_timeout=0.5))
    await database.read(1)
    server.pause()
    for item in range(20):
        await database.read(item)
    (lost,) = lines(caplog)
    assert LOST.fullmatch(lost)
    assert "did not answer in time" in lost
    assert "secret" not in lost
    server.resume()
    await aeventually(lambda: answers(database.cache))
    lost, back = lines(caplog)
    assert int(BACK.fullmatch(back)[1]) >= 15


async def test_the_first_connection_that_fails_is_told_at_once(open_cache, own_redis, caplog):
    server = own_redis()
    server.stop()
    database = Database(open_cache(server.url))
    await database.read(1)
    (lost,) = lines(caplog)
    assert "cannot be reached" in lost
    server.start()
    await aeventually(lambda: answers(database.cache))
    assert len(lines(caplog)) == 2


def test_an_outage_is_told_once_for_all_event_loops(own_redis, caplog):
    server = own_redis()
    cache = cache_at(server.url)
    server.stop()
    for _ in range(5):
        asyncio.run(cache.get("user_stats:1"))
    assert len(lines(caplog)) == 1
    server.start()
    asyncio.run(cache.get("user_stats:1"))
    assert len(lines(caplog)) == 2


async def test_a_database_that_the_server_does_not_have_is_told_once_and_raises_nothing(
    open_cache, one_redis, caplog
):
    cache = open_cache(f"redis://127.0.0.1:{one_redis.port}/9999")
    database = Database(cache)
    for number in range(3):
        assert await database.read(number) == [number, 0]
        (lost,) = lines(caplog)
        assert await cache.set("user_stats:1", 1) is False
        assert await cache.get("user_stats:1") is None
        await cache.invalidate("cache:*")
        stats = await cache.stats()
        assert (stats["reachable"], stats["usable"], stats["error"] > "") == (False, False, True)
    await cache.aclose()
    assert lines(caplog) == [lost]
    assert LOST.fullmatch(lost)
    assert "DB index is out of range" in lost


async def test_a_lost_connection_is_no_outage(open_cache, own_redis, caplog):
    server = own_redis()
    database = Database(open_cache(server.url))
    await database.read(1)
    server.command("CLIENT", "KILL", "TYPE", "normal")
    await database.read(1)
    await database.read(1)
    assert lines(caplog) == []


async def test_a_value_that_the_server_does_not_take_is_told_once_and_not_sent_again(
    open_cache, own_redis, caplog
):
    server = own_redis(config=["proto-max-bulk-len 1mb"])
    cache = open_cache(server.url)
    value = base64.b64encode(random.Random(1).randbytes(2_000_000)).decode()

    @cache.cached(key_prefix="vocabulary")
    async def large(item: int) -> str:
        return value

    for _ in range(6):
        assert await large(1) == value
    assert cache.runtime().server.node.connections_made <= 3
    told = [text for text in caplog.messages if "is not cached" in text]
    assert len(told) == 1
    assert "large" in told[0]
