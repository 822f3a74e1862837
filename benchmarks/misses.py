"""Cold misses one after another, and entries that are invalidated and loaded again."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from benchmarks.contenders import IN_REDIS, Contender, Get, langcache_tag_each
from benchmarks.rounds import Times, in_turns_timed

CALLS = 50
TURNS = 8
CONTENDERS: dict[str, Contender] = {**IN_REDIS, "langcache, a tag each": langcache_tag_each}


async def side_by_side(url: str, rounds: int) -> dict[str, dict[str, Times]]:
    """Microseconds of a cold miss, and of an invalidation with the load that follows."""
    numbers = itertools.count(1_000_000)
    async with AsyncExitStack() as stack:
        gets = {name: await stack.enter_async_context(open_one(url)) for name, open_one in CONTENDERS.items()}
        cold = {name: _timed(_cold, get, numbers) for name, get in gets.items()}
        again = {
            name: _timed(_again, get, numbers) for name, get in gets.items() if hasattr(get, "invalidate")
        }
        return {
            "One cold miss after another": await in_turns_timed(cold, rounds=TURNS * rounds),
            "Invalidate and load again": await in_turns_timed(again, rounds=TURNS * rounds),
        }


def _timed(work: Callable[[Any, Any], Any], get: Get, numbers: Any) -> Any:
    async def once() -> tuple[float, float]:
        ids = list(itertools.islice(numbers, CALLS))
        wall, cpu = time.perf_counter(), time.process_time()
        await work(get, ids)
        return (time.perf_counter() - wall) / CALLS * 1e6, (time.process_time() - cpu) / CALLS * 1e6

    return once


async def _cold(get: Get, ids: list[int]) -> None:
    for number in ids:
        await get(number)


async def _again(get: Any, ids: list[int]) -> None:
    first = ids[0]
    await get(first)
    for _ in ids:
        await get.invalidate(first)
        await get(first)
