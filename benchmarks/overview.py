"""What one refresh of the dashboard costs, with few keys that are counted and with a million that are drawn.

Twenty functions with a day of counters. A refresh is what an open page asks for every five seconds.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from statistics import median

import redis.asyncio

from benchmarks.counters import counts_of_calls, minutes_of_a_week
from langcache_cli.caching import Cache, CacheSettings
from langcache_cli.caching._statistics.fleet.field_names import LATE
from langcache_cli.caching.tooling import Label
from langcache_cli.operations.overview.collecting import CacheOverview

KEYS = (1_500, 1_000_000)
TYPES = ("vocabulary", "translation", "user_stats")
FUNCTIONS = 20
REFRESHES = 9
PORTION = 10_000
KIB = 1024

Table = dict[str, dict[str, float]]


async def by_keys(url: str) -> Table:
    """Costs of a refresh; see the names of the rows."""
    columns = {f"{keys:,} keys": await refreshed(url, keys) for keys in KEYS}
    return {
        row: {name: column[row] for name, column in columns.items()} for row in next(iter(columns.values()))
    }


async def refreshed(url: str, keys: int) -> dict[str, float]:
    """The measurements with so many keys."""
    settings = CacheSettings.load(env_file=None, redis_url=url, operation_timeout=10.0)
    async with Cache(settings) as cache, redis.asyncio.from_url(url) as client:
        await client.flushall()
        await _fill(client, keys)
        labels = [Label(TYPES[n % len(TYPES)], TYPES[n % len(TYPES)], f"f_{n}") for n in range(FUNCTIONS)]
        now = int(time.time())
        for minute in minutes_of_a_week(now):
            if minute > now - 86400:
                await cache.runtime().publisher.writer.add(
                    {minute: {label: counts_of_calls() for label in labels}}
                )
        await _forget_that_they_came_late(client)
        overview = CacheOverview(cache)
        first = time.process_time()
        document = await overview.collect("24h")
        first = time.process_time() - first
        await overview.collect("1h")
        cpu, wall, of_redis, held = [], [], [], []
        for _ in range(REFRESHES):
            before, started, used = time.process_time(), time.perf_counter(), await _used(client)
            held.append(await _longest_gap(overview))
            wall.append(time.perf_counter() - started)
            cpu.append(time.process_time() - before)
            of_redis.append(await _used(client) - used)
        text = json.dumps(document).encode()
        return {
            "first of 24 h, CPU ms": 1000 * first,
            "a refresh, CPU ms": 1000 * median(cpu),
            "a refresh, event loop held, ms": 1000 * median(held),
            "a refresh, ms of Redis": 1000 * median(of_redis),
            "a refresh, ms": 1000 * median(wall),
            "document of 24 h, KiB": len(text) / KIB,
            "compressed, KiB": len(gzip.compress(text)) / KIB,
        }


async def _fill(client: redis.asyncio.Redis, keys: int) -> None:
    for start in range(0, keys, PORTION):
        pipeline = client.pipeline(transaction=False)
        for number in range(start, min(start + PORTION, keys)):
            name = TYPES[0 if number % 10 < 6 else 1 + number % 2]
            pipeline.set(f"cache:{name}:f:{number}", b"x" * (100 + number % 400), px=3_600_000 + number)
        await pipeline.execute()


async def _forget_that_they_came_late(client: redis.asyncio.Redis) -> None:
    """Else each refresh of the first two minutes would read the whole window again."""
    async for key in client.scan_iter("cache@stats:*:1m:*", count=1000):
        if late := [field for field in await client.hkeys(key) if field.startswith(LATE)]:
            await client.hdel(key, *late)


async def _longest_gap(overview: CacheOverview) -> float:
    """Collect once; returns for how long nothing else could run, at most."""
    loop, longest, collecting = asyncio.get_running_loop(), 0.0, True

    async def watch() -> None:
        nonlocal longest
        while collecting:
            started = loop.time()
            await asyncio.sleep(0.0005)  # not all the time: the watch is no part of what is measured
            longest = max(longest, loop.time() - started - 0.0005)

    watching = asyncio.create_task(watch())
    await overview.collect("1h")
    collecting = False
    await watching
    return longest


async def _used(client: redis.asyncio.Redis) -> float:
    """Seconds of processor time that Redis has taken."""
    info = await client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])
