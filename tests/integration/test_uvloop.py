"""The core on uvloop, which uvicorn uses where it is installed: its transports are no `asyncio.Transport`."""

import asyncio

import pytest

from tests.harness.polling import aeventually
from tests.harness.shared_redis import clients_of
from tests.integration.cache_support import Database, cache_at, leftover_tasks

uvloop = pytest.importorskip("uvloop")


def run(main) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_hits_loads_and_invalidations(own_redis, kind):
    server = own_redis(unix_socket=True)

    async def main():
        async with cache_at(server.url if kind == "tcp" else server.unix_url) as cache:
            database = Database(cache, tags=("word:{item}",))
            assert await asyncio.gather(*(database.read(1) for _ in range(50))) == [[1, 0]] * 50
            assert await database.read(1) == [1, 0]
            assert database.reads == {1: 1}
            for invalidate in (lambda: database.read.invalidate(1), lambda: cache.invalidate_tags("word:1")):
                database.versions[1] += 1
                await invalidate()
                assert await database.read(1) == [1, database.versions[1]]
        await asyncio.sleep(0)
        assert leftover_tasks() == []

    run(main())
    assert clients_of(server) == 0


def test_an_outage_and_the_way_back(own_redis):
    server = own_redis(appendonly=True)

    async def main():
        async with cache_at(server.url, operation_timeout=0.25) as cache:
            database = Database(cache)
            await database.read(1)
            server.kill()
            for _ in range(5):
                assert await database.read(1) == [1, 0]
            database.versions[1] = 1
            await database.read.invalidate(1)
            server.start()
            await aeventually(lambda: cache.pending_invalidations == 0)
            assert await database.read(1) == [1, 1]
            server.pause()
            async with asyncio.timeout(0.25 + 1.0):
                assert await database.read(2) == [2, 0]
            server.resume()

    run(main())


def test_a_loop_that_ends_without_closing_the_cache_leaves_no_connection(own_redis):
    server = own_redis()
    cache = cache_at(server.url)
    database = Database(cache)

    async def main():
        assert await database.read(1) == [1, 0]

    for _ in range(3):
        run(main())
    assert database.reads == {1: 1}
    assert clients_of(server) == 0


def test_a_near_cache_hears_of_changes(own_redis):
    server = own_redis()

    async def main():
        async with cache_at(server.url) as cache:
            database = Database(cache, local_ttl=60)

            async def kept() -> bool:
                await database.read(1)
                return database.cache.statistics_of(database.read)["near"] > 0

            await aeventually(kept)
            database.versions[1] = 1
            server.command("DEL", database.read.key_for(1))
            await aeventually(lambda: sees(database, [1, 1]))
        await asyncio.sleep(0)
        assert leftover_tasks() == []

    run(main())
    assert clients_of(server) == 0


async def sees(database: Database, value: list[int]) -> bool:
    return await database.read(1) == value
