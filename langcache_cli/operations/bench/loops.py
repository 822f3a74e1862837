"""Running something many times, with a clock: each run after the last, or at a fixed rate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from langcache_cli.operations.bench.latencies import Repeat

Run = Callable[[], Awaitable[object]]

SLEEP_IS_LATE_BY = 0.002
"""Seconds. A sleep of the event loop ends up to a millisecond or two late; from there on it is polled."""

MOST_UNDER_WAY = 10_000
"""Runs under way at a time in an open loop: a stall must not fill the memory. The loop falls behind then."""

LONGEST_LATENESS = 2
"""An open loop that needs this many times the time of its schedule stops: its rate cannot be reached."""


async def closed_loop(run: Run, *, seconds: float, concurrency: int) -> Repeat:
    """Run something again and again, each worker waiting for its last run to end.

    Args:
        run: What to time.
        seconds: For how long; every worker runs it at least once.
        concurrency: How many workers.
    """
    repeat = Repeat()
    started = time.perf_counter()

    async def work() -> None:
        while True:
            begun = time.perf_counter()
            await _timed(repeat, run, started, begun)
            if time.perf_counter() - started >= seconds:
                return

    await asyncio.gather(*(work() for _ in range(concurrency)))
    repeat.seconds = time.perf_counter() - started
    return repeat


async def open_loop(run: Run, *, seconds: float, per_second: float) -> Repeat:
    """Run something at a fixed rate, whether or not earlier runs have ended.

    A run is timed from the moment at which it should have begun. So what a stall delays is counted with its
    whole delay; a closed loop would ask less meanwhile, and count one slow run.

    Args:
        run: What to time.
        seconds: For how long; it begins at least once.
        per_second: Runs a second.
    """
    repeat = Repeat(asked=max(1, round(seconds * per_second)))
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:  # waits for the runs under way, or cancels them
        repeat.schedule_seconds = await _begin_all(repeat, run, group, started, per_second)
    repeat.seconds = time.perf_counter() - started
    return repeat


async def _begin_all(
    repeat: Repeat, run: Run, group: asyncio.TaskGroup, started: float, per_second: float
) -> float:
    """Begin each run when it is due; returns the seconds that the schedule took."""
    under_way: set[asyncio.Task[None]] = set()
    interval, now = 1 / per_second, started
    for number in range(repeat.asked):
        intended = started + number * interval
        await _until(intended)
        while len(under_way) >= MOST_UNDER_WAY:
            await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        now = time.perf_counter()
        repeat.lags.append(now - intended)
        task = group.create_task(_timed(repeat, run, started, intended))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        if now - started > LONGEST_LATENESS * repeat.asked * interval:
            break
    return max(len(repeat.lags) * interval, now - started + interval)


async def _until(moment: float) -> None:
    left = moment - time.perf_counter()
    if left > SLEEP_IS_LATE_BY:
        await asyncio.sleep(left - SLEEP_IS_LATE_BY)
    await asyncio.sleep(0)  # once at least: runs that are due go on while the schedule is late
    while time.perf_counter() < moment:  # noqa: ASYNC110 - a clock has no event
        await asyncio.sleep(0)


async def _timed(repeat: Repeat, run: Run, started: float, begun: float) -> None:
    try:
        await run()
    except Exception as error:  # noqa: BLE001 - a path that fails is a result: it is counted and shown
        repeat.errors += 1
        repeat.error = repeat.error or error
    else:
        ended = time.perf_counter()
        repeat.times.append(ended - begun)
        repeat.starts.append(begun - started)
