"""Closing a cache whose Redis hangs: what has just failed for want of an answer is not tried again."""

import asyncio
import logging
from typing import NamedTuple

import pytest

from langcache_cli.caching._statistics.fleet import writer
from tests.harness.redis_server import RedisServer
from tests.integration.cache_support import Database, cache_at

ENOUGH_SECONDS = 60


class Hung(NamedTuple):
    """A cache that has counted a miss, its server, which is stopped, and the counters it tried to deliver."""

    database: Database
    server: RedisServer
    tried: list[object]

    async def close(self) -> None:
        """Close the cache; a delivery of counters that is bounded by nothing else would take minutes."""
        async with asyncio.timeout(ENOUGH_SECONDS):
            await self.database.cache.aclose()

    @property
    def misses(self) -> int:
        """How many are counted and not delivered."""
        return self.database.cache.statistics_of(self.database.read)["misses"]


@pytest.fixture
async def hung(own_redis, monkeypatch):
    monkeypatch.setattr(writer, "WRITE_TIMEOUT_SECONDS", 10 * ENOUGH_SECONDS)
    server = own_redis()
    database = Database(cache_at(server.url, operation_timeout=0.25))
    totals, tried = database.cache.runtime().publisher.writer, []
    add = totals.add

    def adding(counts, **options):
        tried.append(counts)
        return add(counts, **options)

    monkeypatch.setattr(totals, "add", adding)
    await database.read(1)
    server.pause()
    return Hung(database, server, tried)


@pytest.mark.parametrize("failures", [1, 2, 3])
async def test_after_failed_invalidations_the_counters_are_not_tried(hung, caplog, failures):
    for item in range(failures):
        await hung.database.read.invalidate(item)
    with caplog.at_level(logging.WARNING):
        await hung.close()
    assert hung.tried == []
    assert f"{failures} invalidations were not delivered" in caplog.text
    assert hung.database.cache.pending_invalidations == failures
    assert hung.misses == 1  # kept for the next event loop


async def test_after_a_call_without_an_answer_the_counters_are_not_tried(hung):
    assert await hung.database.read(2) == [2, 0]
    await hung.close()
    assert hung.tried == []


async def test_counters_take_no_longer_than_a_call(hung):
    await hung.close()
    assert len(hung.tried) == 1
    assert hung.misses == 1


async def test_a_server_that_is_back_gets_all(hung):
    await hung.database.read.invalidate(1)
    hung.server.resume()
    await hung.close()
    assert hung.database.cache.pending_invalidations == 0
    assert not hung.server.command("EXISTS", hung.database.read.key_for(1))
    assert len(hung.tried) == 1
    assert hung.misses == 0
