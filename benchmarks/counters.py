"""What the counters of a fleet take in Redis after a week, and what delivering and reading them costs.

Twenty busy functions, or a hundred: 1,000 calls a minute each, nine of ten of them hits, with the spread of
latencies (log-normal) that a real cache has. The counters are added to the minutes of a week by the process
that also reads them.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator

import redis.asyncio

from langcache_cli.caching import Cache, CacheSettings
from langcache_cli.caching._statistics.counters import Counts
from langcache_cli.caching._statistics.fleet.tiers import FIVE_MINUTES, HOURS, MINUTES
from langcache_cli.caching._statistics.latency_buckets import bucket_of, timing_name
from langcache_cli.caching.tooling import Label

CALLS = 1000
WINDOWS = {"1 h": 3600, "6 h": 6 * 3600, "24 h": 24 * 3600, "7 d": 7 * 86400}
MIB = 2**20

FUNCTIONS = (20, 100)

Table = dict[str, dict[str, float]]
"""A row for each measurement, a column for each number of functions."""


async def by_functions(url: str) -> Table:
    """Memory and costs; see the names of the rows."""
    columns = {f"{functions} functions": await week(url, functions) for functions in FUNCTIONS}
    return {
        row: {name: column[row] for name, column in columns.items()} for row in next(iter(columns.values()))
    }


async def week(url: str, functions: int) -> dict[str, float]:
    """The measurements of so many functions."""
    labels = [Label("vocabulary", "vocabulary", f"get_word_{number}") for number in range(functions)]
    settings = CacheSettings.load(env_file=None, redis_url=url, operation_timeout=10.0)
    async with Cache(settings) as cache, redis.asyncio.from_url(url) as client:
        await client.flushall()
        writer, now = cache.runtime().publisher.writer, int(time.time())
        for minute in minutes_of_a_week(now):
            await writer.add({minute: {label: counts_of_calls() for label in labels}})
        sizes = [await client.memory_usage(key) async for key in client.scan_iter(count=1000)]
        await client.config_resetstat()
        started = time.process_time()
        for _ in range(20):
            await writer.add({now - now % 60: {label: counts_of_calls(CALLS // 12) for label in labels}})
        cpu = (time.process_time() - started) / 20
        calls = (await client.info("commandstats"))["cmdstat_evalsha"]["usec"] / 20
        found = {
            "a week in Redis, MiB": sum(sizes) / MIB,
            "a week in Redis, keys": len(sizes),
            "a delivery, CPU ms": 1000 * cpu,
            "a delivery, ms of Redis": calls / 1000,
        }
        for name, seconds in WINDOWS.items():
            found |= await _reading(cache, name, seconds)
        return found


def minutes_of_a_week(now: int) -> Iterator[int]:
    """A moment in each hash of a week: of coarse tiers those that no finer one has."""
    for tier, finer in ((HOURS, FIVE_MINUTES), (FIVE_MINUTES, MINUTES), (MINUTES, None)):
        newest = now - (finer.kept_seconds if finer else -1)
        yield from range(tier.start(now - tier.kept_seconds), newest, tier.seconds)


def counts_of_calls(calls: int = CALLS) -> Counts:
    """What one function counts for so many calls."""
    hits = 9 * calls // 10
    counts = {"hits": hits, "misses": calls - hits, "loads": calls - hits, "joined": calls // 100 + 1}
    counts |= {"bytes_read": 500 * hits, "bytes_written": 500 * (calls - hits)}
    for what, many, seconds, spread in (("hit", hits, 0.0004, 0.35), ("load", calls - hits, 0.05, 0.5)):
        for _ in range(many):
            name = timing_name(what, bucket_of(1e6 * random.lognormvariate(0, spread) * seconds))
            counts[name] = counts.get(name, 0) + 1
    return counts


async def _reading(cache: Cache, name: str, window_seconds: int) -> dict[str, float]:
    """The median of some reads, and the longest time for which nothing else could run."""
    loop, longest, reading = asyncio.get_running_loop(), 0.0, True

    async def watch() -> None:
        nonlocal longest
        while reading:
            started = loop.time()
            await asyncio.sleep(0)
            longest = max(longest, loop.time() - started)

    watching, costs = asyncio.create_task(watch()), []
    for _ in range(3):
        await cache.runtime().fleet.reader.read(window_seconds)
    reading = False
    await watching
    for _ in range(5):
        started = time.process_time()
        await cache.runtime().fleet.reader.read(window_seconds)
        costs.append(time.process_time() - started)
    return {
        f"reading {name}, CPU ms": 1000 * sorted(costs)[2],
        f"reading {name}, event loop held, ms": 1000 * longest,
    }
