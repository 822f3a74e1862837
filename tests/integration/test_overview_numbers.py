"""Every call is in exactly one part of the picture, in its own minute, through outages and restarts."""

import asyncio
import time
from collections import Counter

from langcache_cli.operations.overview.history import CacheHistory
from langcache_cli.operations.overview.series import SeriesMaker
from tests.harness.polling import aeventually
from tests.integration.cache_support import python, redis_answers

AGO = (0, 300, 900, 1500)
"""When the calls of each process are made, in seconds before now."""


def answers(of_type) -> list[int]:
    """The calls of each step: from the cache, old values, waited, loaded, past the cache."""
    names = ("hits", "stale", "joined", "misses", "bypassed")
    return [
        sum((hits - stale, stale, joined, misses - joined, bypassed))
        for hits, stale, joined, misses, bypassed in zip(*[of_type[name] for name in names], strict=True)
    ]


async def all_make(workers, calls: int) -> list[int]:
    """Have each make so many rounds of calls; returns the calls each has made in all."""
    for worker in workers:
        worker.stdin.write(f"{calls}\n")
        worker.stdin.flush()
    return [int(await asyncio.to_thread(worker.stdout.readline)) for worker in workers]


async def calls_by_step(cache, window: int, step: int) -> Counter[int]:
    history = CacheHistory(cache, window_seconds=window, step_seconds=step)
    series = await SeriesMaker().series(await history.read())
    found: Counter[int] = Counter()
    for of_type in series["types"].values():
        found.update(dict(zip(series["at"], answers(of_type), strict=True)))
    return found


async def test_the_sums_of_the_chart_are_the_calls_made(open_cache, own_redis):
    server = own_redis(appendonly=True, config=("appendfsync always",))
    workers = [python("-m", "tests.integration.counting_worker", server.url, str(ago)) for ago in AGO]
    cache = open_cache(server.url)
    started = time.time()
    await all_make(workers, 30)
    server.kill()
    await all_make(workers, 20)
    server.start()
    await aeventually(lambda: redis_answers(cache))
    made = await all_make(workers, 25)
    for worker in workers:
        _, errors = await asyncio.to_thread(worker.communicate)
        assert worker.returncode == 0, errors
    took = time.time() - started
    minutes = await calls_by_step(cache, 3600, 60)
    for ago, calls in zip(AGO, made, strict=True):
        first, last = started - ago - 60, started - ago + took
        assert sum(count for at, count in minutes.items() if first <= at <= last) == calls
    for window, step in ((3600, 60), (6 * 3600, 300), (24 * 3600, 900), (7 * 86400, 3600)):
        assert sum((await calls_by_step(cache, window, step)).values()) == sum(made)
