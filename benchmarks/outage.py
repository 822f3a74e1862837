"""What the cache adds while Redis is down, and how soon a change is seen in the memory of another process."""

from __future__ import annotations

import asyncio
import time

from benchmarks.rounds import percentile
from benchmarks.words import Word, load
from langcache_cli.caching import Cache, CacheSettings
from tests.harness.redis_server import RedisServer

CALLS = 5000
CHANGES = 300


async def added_latency_ms() -> dict[str, float]:
    """p50 and p99 of calls while Redis is down and the breaker is open; the function itself takes nothing."""
    with RedisServer() as server:
        async with Cache(CacheSettings.load(env_file=None, redis_url=server.url)) as cache:

            @cache.cached(key_prefix="word")
            async def get_word(word_id: int) -> Word:
                return await load(word_id)

            await get_word(1)
            server.kill()
            while not cache.runtime().server.node.breaker.open:
                await get_word(1)
            latencies = []
            for number in range(CALLS):
                began = time.perf_counter()
                await get_word(number)
                latencies.append((time.perf_counter() - began) * 1e3)
                if number % 100 == 0:
                    await asyncio.sleep(0.01)  # so that probes of the breaker fall among the calls
    return {"p50": percentile(latencies, 50), "p99": percentile(latencies, 99)}


async def lag_ms(server: RedisServer) -> dict[str, float]:
    """p50, p99 and the worst time from a DEL by another client until a reader with a near cache sees it."""
    latencies = []
    async with Cache(CacheSettings.load(env_file=None, redis_url=server.url)) as cache:
        version = 0

        @cache.cached(key_prefix="near_lag", local_ttl=60)
        async def get_version() -> int:
            return version

        key = get_version.key_for()
        for _ in range(CHANGES):
            for _ in range(3):
                await get_version()
                await asyncio.sleep(0.002)
            version += 1
            deleted = asyncio.to_thread(server.command, "DEL", key)
            await deleted
            changed = time.perf_counter()
            while await get_version() != version:  # noqa: ASYNC110 - the reader is what is measured
                await asyncio.sleep(0.0001)
            latencies.append((time.perf_counter() - changed) * 1e3)
    return {"p50": percentile(latencies, 50), "p99": percentile(latencies, 99), "worst": max(latencies)}
