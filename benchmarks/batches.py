"""A hundred values at once: all of them there, or ten missing. Beside MGET and a pipeline of SETs by hand."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from benchmarks.batch_contenders import CONTENDERS, GetMany, Kind, texts, words
from benchmarks.rounds import Times, in_turns_timed

ITEMS = 100
MISSING = 10
CALLS = 10
TURNS = 8
"""In each round: short turns are disturbed alike."""
KINDS: tuple[Kind, ...] = (texts, words)


async def side_by_side(url: str, rounds: int) -> dict[str, dict[str, Times]]:
    """Microseconds of a call for a hundred values, by what it is a call for."""
    return {
        f"{ITEMS} {kind.name} at once, {there}": await _measured(url, kind, missing, rounds)
        for kind in KINDS
        for missing, there in ((0, "all there"), (MISSING, f"{MISSING} missing"))
    }


async def _measured(url: str, kind: Kind, missing: int, rounds: int) -> dict[str, Times]:
    there, numbers = range(ITEMS - missing), itertools.count(1_000_000)

    async with AsyncExitStack() as stack:
        gets: dict[str, GetMany] = {}
        for name, open_one in CONTENDERS.items():
            gets[name] = await stack.enter_async_context(open_one(url, kind))
            await _check(gets[name], kind)

        def work(get_many: GetMany) -> Any:
            async def once() -> tuple[float, float]:
                calls = [
                    [kind.item(number) for number in (*there, *itertools.islice(numbers, missing))]
                    for _ in range(CALLS)
                ]
                return await _timed(get_many, calls)

            return once

        return await in_turns_timed({name: work(get) for name, get in gets.items()}, rounds=TURNS * rounds)


async def _timed(get_many: GetMany, calls: Sequence[Sequence[Any]]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    for items in calls:
        await get_many(items)
    return (time.perf_counter() - wall) / len(calls) * 1e6, (time.process_time() - cpu) / len(calls) * 1e6


async def _check(get_many: GetMany, kind: Kind) -> None:
    """Store what is there in every round, and see that the values are right."""
    items = [kind.item(number) for number in range(ITEMS)]
    wanted = kind.load(items)
    for _ in range(2):
        found = await get_many(items)
        assert [value if type(value) is not dict else type(wanted[0])(**value) for value in found] == wanted
    await asyncio.sleep(0)
