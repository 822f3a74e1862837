"""A process that makes a known number of calls, at a time of its own, whenever a line comes.

    python -m tests.integration.counting_worker URL SECONDS_AGO

For each line of standard input, a number of calls, it makes as many and prints how many have been made in
all; at the end of the input it delivers its counters and ends.
"""

import asyncio
import contextlib
import sys
from dataclasses import replace

from langcache_cli.caching import Cache, CacheError, CacheSettings
from langcache_cli.caching._clock import now_ms
from langcache_cli.caching._wire.externals import Externals


async def main(url: str, seconds_ago: int) -> None:
    settings = CacheSettings.load(
        env_file=None, redis_url=url, stats_flush_seconds=0.05, operation_timeout=1.0
    )
    cache = Cache(settings, externals=replace(Externals(), now_ms=lambda: now_ms() - 1000 * seconds_ago))
    made = 0

    @cache.cached(key_prefix="vocabulary")
    async def word(item: int) -> int:
        await asyncio.sleep(0.001)
        return item

    @cache.cached(key_prefix="translation", ttl=60)
    async def text(item: int) -> str:
        if item % 10 == 9:
            raise LookupError(item)
        return str(item)

    async with cache:
        for line in iter(sys.stdin.readline, ""):
            for number in range(int(line)):
                # two at a time: one of them may wait for the other's load
                await asyncio.gather(
                    word(number % 7), word(number % 7), text(number % 20), return_exceptions=True
                )
                made += 3
            sys.stdout.write(f"{made}\n")
            sys.stdout.flush()
        await delivered(cache)


async def delivered(cache: Cache) -> None:
    """Wait until all is delivered: a close tries once, for as long as one call may take."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(CacheError):
                return await cache.runtime().publisher.now()
            await asyncio.sleep(0.05)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
