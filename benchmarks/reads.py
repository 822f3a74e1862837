"""Hits: one after another, a hundred tasks at a time, and from memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from benchmarks.contenders import IN_MEMORY, IN_REDIS, Contender, Get
from benchmarks.rounds import Measured, in_turns, percentile

KEYS = 1000
CALLS = 1000
TASKS = 100
CALLS_OF_A_TASK = 100


@asynccontextmanager
async def _opened(contenders: dict[str, Contender], url: str) -> AsyncIterator[dict[str, Get]]:
    """The contenders with everything stored: from here on there are only hits."""
    async with AsyncExitStack() as stack:
        gets = {name: await stack.enter_async_context(open_one(url)) for name, open_one in contenders.items()}
        for get in gets.values():
            for number in range(3 * KEYS):
                await get(number % KEYS)
        yield gets


async def _sequential(get: Get) -> float:
    started = time.perf_counter()
    for number in range(CALLS):
        await get(number % KEYS)
    return (time.perf_counter() - started) / CALLS * 1e6


async def _tasks(get: Get, latencies: list[float]) -> float:
    async def task(first: int) -> None:
        for number in range(CALLS_OF_A_TASK):
            began = time.perf_counter()
            await get((first * 10 + number) % KEYS)
            latencies.append(time.perf_counter() - began)

    started = time.perf_counter()
    await asyncio.gather(*map(task, range(TASKS)))
    return TASKS * CALLS_OF_A_TASK / (time.perf_counter() - started)


async def one_after_another(url: str, rounds: int) -> dict[str, Measured]:
    """Microseconds of a hit."""
    async with _opened(IN_REDIS, url) as gets:
        return await in_turns({name: partial(_sequential, get) for name, get in gets.items()}, rounds=rounds)


async def many_tasks(url: str, rounds: int) -> tuple[dict[str, Measured], dict[str, float]]:
    """Hits a second of a hundred tasks; and their p99 in milliseconds."""
    latencies: dict[str, list[float]] = {name: [] for name in IN_REDIS}
    async with _opened(IN_REDIS, url) as gets:
        works: dict[str, Callable[[], object]] = {
            name: partial(_tasks, get, latencies[name]) for name, get in gets.items()
        }
        found = await in_turns(works, rounds=rounds)  # type: ignore[arg-type] # a partial of a coroutine function
    return found, {name: percentile(values, 99) * 1e3 for name, values in latencies.items()}


async def from_memory(url: str, rounds: int) -> dict[str, Measured]:
    """Microseconds of a hit in the memory of the process."""
    async with _opened(IN_MEMORY, url) as gets:
        return await in_turns({name: partial(_sequential, get) for name, get in gets.items()}, rounds=rounds)
