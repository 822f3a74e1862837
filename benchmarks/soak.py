"""`python -m benchmarks.soak [--minutes N]`: does anything grow while a thousand tasks use the cache?

They call functions with and without tags, stale serving and a near cache, and invalidate entries and tags
now and then. Every half minute it prints the memory of the process, its tasks beyond those of the callers,
its file descriptors, and the connections and keys of Redis; at the end, what is left of them.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import psutil

from benchmarks.words import Word, word
from langcache_cli.caching import Cache, CacheSettings, CacheUnavailableError
from tests.harness.redis_server import RedisServer

TASKS = 1000
KEYS = 2000
REPORT_SECONDS = 30.0
LOAD_SECONDS = 0.002
COLUMNS = ("minute", "calls", "MB", "tasks", "descriptors", "connections", "keys")

Act = Callable[[int], Awaitable[Any]]


def actions(cache: Cache) -> list[tuple[Act, int]]:
    """What the tasks do, and how often of a thousand times."""

    async def load(word_id: int) -> Word:
        await asyncio.sleep(LOAD_SECONDS)
        return word(word_id)

    @cache.cached(key_prefix="plain", ttl=5)
    async def plain(word_id: int) -> Word:
        return await load(word_id)

    @cache.cached(key_prefix="tagged", ttl=60, tags=("word:{word_id}", "words"))
    async def tagged(word_id: int) -> Word:
        return await load(word_id)

    @cache.cached(key_prefix="stale", ttl=1, stale_ttl=5, early_refresh=1.0)
    async def stale(word_id: int) -> Word:
        return await load(word_id)

    @cache.cached(key_prefix="near", ttl=60, local_ttl=10)
    async def near(word_id: int) -> Word:
        return await load(word_id)

    async def invalidate_all(_word_id: int) -> None:
        await cache.invalidate_tags("words")

    return [
        (plain, 300),
        (tagged, 300),
        (stale, 190),
        (near, 190),
        (plain.invalidate, 5),
        (near.invalidate, 5),
        (stale.refresh, 5),
        (lambda word_id: cache.invalidate_tags(f"word:{word_id}"), 4),
        (invalidate_all, 1),
    ]


async def soak(minutes: float) -> None:
    """Run it, and print what there is to see."""
    with RedisServer() as server:
        async with Cache(CacheSettings.load(env_file=None, redis_url=server.url)) as cache:
            ends, calls, refused = time.monotonic() + minutes * 60, count(), Counter[str]()
            acts, weights = zip(*actions(cache), strict=True)

            async def use() -> None:
                while time.monotonic() < ends:
                    (act,) = random.choices(acts, weights)
                    try:
                        await act(int(KEYS * random.random() ** 3))
                    except CacheUnavailableError:  # of a refresh, if the machine stands still for a moment
                        refused.update(["refresh"])
                    next(calls)

            print("".join(f"{column:>13}" for column in COLUMNS))
            users = [asyncio.create_task(use()) for _ in range(TASKS)]
            while time.monotonic() < ends:
                await asyncio.sleep(min(REPORT_SECONDS, max(0.0, ends - time.monotonic())))
                done = sum(user.done() for user in users)
                print(
                    _line(server, minutes - (ends - time.monotonic()) / 60, calls, TASKS - done), flush=True
                )
            await asyncio.gather(*users)
        await asyncio.sleep(0)
        print(_line(server, minutes, calls, 0), f"  closed; {refused.total()} refreshes unconfirmed")


def _line(server: RedisServer, minute: float, calls: count[int], users: int) -> str:
    process = psutil.Process()
    clients = server.command("CLIENT", "LIST")
    values = (
        f"{minute:.1f}",
        f"{next(calls):,}",
        f"{process.memory_info().rss / 2**20:.1f}",
        len(asyncio.all_tasks()) - 1 - users,
        process.num_fds(),
        len(clients.splitlines()) - 1,  # without the one that asks
        f"{server.command('DBSIZE'):,}",
    )
    return "".join(f"{value:>13}" for value in values)


def main() -> None:
    """Parse, run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="Does anything grow?")
    parser.add_argument("--minutes", type=float, default=10)
    asyncio.run(soak(parser.parse_args().minutes))


if __name__ == "__main__":
    main()
