"""The clock that budgets are measured with: it stands still while the event loop is busy."""

import asyncio
import time

from langcache_cli.caching._wire.idle_clock import BUSY_TICKS, TICK_SECONDS, IdleClock
from tests.harness.polling import aeventually


async def busy(seconds: float) -> None:
    """Keep the event loop from everything else."""
    await asyncio.sleep(0)
    time.sleep(seconds)  # noqa: ASYNC251 - to the loop it is the same as computing


async def test_it_goes_on_while_the_loop_is_free():
    clock = IdleClock()
    really, started = time.monotonic(), clock.time()
    clock.call_after(10, asyncio.Event().set)
    await aeventually(lambda: clock.time() - started > 0.1)
    assert time.monotonic() - really >= 0.1


async def test_it_stands_still_while_the_loop_is_busy():
    clock = IdleClock()
    started = clock.time()
    await busy(0.3)
    assert clock.time() - started <= 2 * TICK_SECONDS
    await asyncio.sleep(0)
    assert clock.time() - started <= 2 * TICK_SECONDS
    await aeventually(lambda: clock.busy > 0.3 - 2 * TICK_SECONDS)


async def test_it_never_goes_backwards():
    clock = IdleClock()
    times = []
    for _ in range(20):
        times.append(clock.time())
        await busy(0.004)
    assert times == sorted(times)


async def test_a_timer_is_late_by_as_long_as_the_loop_was_busy():
    clock, expired = IdleClock(), asyncio.Event()
    really = time.monotonic()
    clock.call_after(0.1, expired.set)
    await busy(0.3)
    assert not expired.is_set()
    await expired.wait()
    assert time.monotonic() - really >= 0.3 + 0.1 - 3 * TICK_SECONDS


async def test_timers_end_in_the_order_of_their_times():
    clock, ended = IdleClock(), []
    for seconds in (0.05, 0.01, 0.09):
        clock.call_after(seconds, lambda seconds=seconds: ended.append(seconds))
    await aeventually(lambda: len(ended) == 3)
    assert ended == [0.01, 0.05, 0.09]


async def test_a_cancelled_timer_does_nothing():
    clock, expired, later = IdleClock(), asyncio.Event(), asyncio.Event()
    clock.call_after(0.01, expired.set).cancel()
    clock.call_after(0.05, later.set)
    await later.wait()
    assert not expired.is_set()


async def test_nothing_ticks_when_nobody_looks():
    clock = IdleClock()
    clock.time()
    assert clock.ticking
    await aeventually(lambda: not clock.ticking)


async def test_a_timer_gives_up_before_it_expires_if_the_loop_is_busy_in_slices():
    clock, events = IdleClock(), []
    seconds = 1.5 * BUSY_TICKS * TICK_SECONDS  # it expires when the loop has come round half as often again
    clock.call_after(seconds, lambda: events.append("expired"), give_up=lambda: events.append("gave up"))
    while "expired" not in events:
        await busy(seconds)
    assert events == ["gave up", "expired"]


async def test_a_timer_does_not_give_up_after_one_long_stretch():
    clock, events = IdleClock(), []
    clock.call_after(0.05, lambda: events.append("expired"), give_up=lambda: events.append("gave up"))
    await busy(1.0)
    await aeventually(lambda: events)
    assert events == ["expired"]


async def test_a_timer_that_is_cancelled_does_not_give_up():
    clock, events = IdleClock(), []
    timer = clock.call_after(0.05, lambda: events.append("expired"), give_up=lambda: events.append("gave up"))
    timer.cancel()
    for _ in range(15):
        await busy(0.05)
    assert events == []
