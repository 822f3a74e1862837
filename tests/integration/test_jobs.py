"""A job runner: one `asyncio.run` for each job, as with scripts, schedulers and workers of queues."""

import asyncio

import pytest

from tests.integration.cache_support import Database, cache_at


@pytest.fixture
def jobs(redis_url):
    cache = cache_at(redis_url)
    return cache, Database(cache, tags=("words",))


def test_the_next_job_finds_what_the_last_one_set_after_it_was_invalidated(jobs):
    cache, _ = jobs

    async def write(value):
        await cache.invalidate("cache:user_stats:*")
        await cache.delete("user_stats:1")
        assert await cache.set("user_stats:1", value)

    for value in range(5):
        asyncio.run(write(value))
        assert asyncio.run(cache.get("user_stats:1")) == value


def test_ten_jobs_after_an_invalidation_run_the_function_once(jobs):
    cache, database = jobs

    async def job():
        assert [await database.read(item) for item in range(10)] == [
            [item, database.versions[item]] for item in range(10)
        ]

    async def change():
        for item in range(10):
            database.versions[item] += 1
            await database.read.invalidate(item)
        await cache.invalidate_tags("words")
        await cache.invalidate_type("vocabulary")

    asyncio.run(job())
    asyncio.run(change())
    database.reads.clear()
    for _ in range(10):
        asyncio.run(job())
    assert database.reads == dict.fromkeys(range(10), 1)
