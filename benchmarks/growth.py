"""How cost grows: with the keys in Redis, the tasks at a time, the tags of a function."""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio

from benchmarks.words import Word, load
from langcache_cli.caching import Cache, CacheSettings

CALLS = 2000
ROUNDS = 5
KEYS = (1_000, 10_000, 100_000, 1_000_000)
TASKS = (1, 10, 100, 1000)
TAGS = (0, 1, 2, 4, 8)

Table = dict[str, dict[str, float]]
"""A row for each size, a column for each measurement."""


async def _microseconds(act: Callable[[int], Awaitable[Any]], calls: int = CALLS) -> float:
    """The median of some rounds, for each call."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for number in range(calls):
            await act(number)
        rounds.append((time.perf_counter() - started) / calls * 1e6)
    return statistics.median(rounds)


def _cache(url: str) -> Cache:
    return Cache(CacheSettings.load(env_file=None, redis_url=url))


async def by_keys(url: str) -> Table:
    """Microseconds of a hit and of invalidations; milliseconds of removing 1,000 keys by pattern."""
    table: Table = {}
    async with _cache(url) as cache, redis.asyncio.from_url(url) as client:

        @cache.cached(key_prefix="grown", ttl=3600)
        async def get_word(word_id: int) -> Word:
            return await load(word_id)

        await client.flushall()
        await get_word(0)
        entry = await client.get(get_word.key_for(0))
        stem, stored = get_word.key_for(0).removesuffix("0"), 1
        for keys in KEYS:
            for first in range(stored, keys, 1000):
                pipeline = client.pipeline(transaction=False)
                for number in range(first, min(first + 1000, keys)):
                    pipeline.set(f"{stem}{number}", entry, px=3_600_000)
                await pipeline.execute()
            stored = keys

            async def hit(_number: int, keys: int = keys) -> None:
                await get_word(random.randrange(keys))

            table[f"{keys:,} keys"] = {
                "hit, µs": await _microseconds(hit),
                "invalidate a key, µs": await _microseconds(lambda _: get_word.invalidate(-1)),
                "invalidate a tag, µs": await _microseconds(lambda _: cache.invalidate_tags("words")),
                "remove 1,000 by pattern, ms": await _removing(cache, client),
            }
    return table


async def _removing(cache: Cache, client: redis.asyncio.Redis) -> float:
    pipeline = client.pipeline(transaction=False)
    for number in range(1000):
        pipeline.set(f"cache:other:some:{number}", b"x", px=3_600_000)
    await pipeline.execute()
    started = time.perf_counter()
    removed = await cache.invalidate("cache:other:*")
    assert removed == 1000
    return (time.perf_counter() - started) * 1e3


async def by_tasks(url: str) -> Table:
    """Hits a second."""
    table: Table = {}
    # any other pool would refuse 1,000 tasks
    pool = redis.asyncio.BlockingConnectionPool.from_url(url, max_connections=100)
    async with _cache(url) as cache, redis.asyncio.Redis.from_pool(pool) as client:

        @cache.cached(key_prefix="crowded", ttl=3600)
        async def get_word(word_id: int) -> Word:
            return await load(word_id)

        async def raw(word_id: int) -> None:
            json.loads(await client.get(f"raw:{word_id}"))

        for number in range(1000):
            await get_word(number)
            await client.set(f"raw:{number}", json.dumps(vars(await load(number))))
        for tasks in TASKS:
            calls = max(10, 10_000 // tasks)
            table[f"{tasks:,} tasks"] = {
                "langcache": await _hits_a_second(get_word, tasks, calls),
                "redis-py GET + json.loads": await _hits_a_second(raw, tasks, calls),
            }
    return table


async def _hits_a_second(get: Callable[[int], Awaitable[Any]], tasks: int, calls: int) -> float:
    async def task(first: int) -> None:
        for number in range(calls):
            await get((first * 7 + number) % 1000)

    rounds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        await asyncio.gather(*map(task, range(tasks)))
        rounds.append(tasks * calls / (time.perf_counter() - started))
    return statistics.median(rounds)


async def by_tags(url: str) -> Table:
    """Microseconds of a hit, and hits a second of 100 tasks."""
    table: Table = {}
    async with _cache(url) as cache:
        for tags in TAGS:
            templates = [f"tag{number}:{{word_id}}" for number in range(tags)]

            @cache.cached(key_prefix=f"tagged{tags}", ttl=3600, tags=templates)
            async def get_word(word_id: int) -> Word:
                return await load(word_id)

            for number in range(1000):
                await get_word(number)
            table[f"{tags} tags"] = {
                "one after another, µs": await _microseconds(lambda number, get=get_word: get(number % 1000)),
                "100 tasks, hits a second": await _hits_a_second(get_word, 100, 100),
            }
    return table
