"""The clock that budgets are measured with: it stands still while the event loop is busy."""

import asyncio
import time

from langcache_cli.caching._loop_clock import TICK_SECONDS, Deadline, LoopClock
from tests.harness.polling import aeventually


async def busy(seconds: float) -> None:
    """Keep the event loop from everything else."""
    await asyncio.sleep(0)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


async def test_it_goes_on_while_the_loop_is_free():
    with LoopClock() as clock:
        started, really = clock.time(), time.monotonic()
        await aeventually(lambda: clock.time() - started > 0.1)
        assert time.monotonic() - really >= 0.1


async def test_it_stands_still_while_the_loop_is_busy():
    with LoopClock() as clock:
        started = clock.time()
        await busy(0.3)
        assert clock.time() - started <= 2 * TICK_SECONDS
        await asyncio.sleep(0)
        assert clock.time() - started <= 2 * TICK_SECONDS


async def test_it_never_goes_backwards():
    with LoopClock() as clock:
        times = []
        for _ in range(20):
            times.append(clock.time())
            await busy(0.004)
    assert times == sorted(times)


async def test_a_deadline_is_late_by_as_long_as_the_loop_was_busy():
    expired = asyncio.Event()
    with LoopClock() as clock:
        really = time.monotonic()
        Deadline(clock, 0.1, expired.set)
        await busy(0.3)
        assert not expired.is_set()
        await expired.wait()
        assert time.monotonic() - really >= 0.3 + 0.1 - 3 * TICK_SECONDS


async def test_a_cancelled_deadline_does_nothing():
    expired = asyncio.Event()
    with LoopClock() as clock:
        deadline = Deadline(clock, 0.01, expired.set)
        deadline.cancel()
        started = clock.time()
        await aeventually(lambda: clock.time() - started > 0.05)
    assert not expired.is_set()


async def test_nothing_ticks_when_nobody_looks():
    clock = LoopClock()
    with clock:
        pass
    await aeventually(lambda: not clock._ticking)
