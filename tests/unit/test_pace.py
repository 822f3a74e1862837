"""Doing much at a given speed."""

import time

import pytest

from langcache_cli.caching.tooling import Pace


async def test_so_many_keys_take_so_long():
    pace = Pace(1000)
    started = time.monotonic()
    for _ in range(5):
        await pace.keep(20)
    assert time.monotonic() - started >= 0.1


async def test_time_that_was_lost_elsewhere_is_made_up_for():
    pace = Pace(1000)
    time.sleep(0.05)  # noqa: ASYNC251 - this is what is being tried
    started = time.monotonic()
    await pace.keep(20)
    assert time.monotonic() - started < 0.02


async def test_a_long_stall_is_not_made_up_for():
    pace = Pace(1000)
    time.sleep(0.5)  # noqa: ASYNC251 - this is what is being tried
    started = time.monotonic()
    for _ in range(15):
        await pace.keep(20)
    assert time.monotonic() - started >= 0.17


async def test_without_a_speed_nobody_waits():
    pace = Pace(None)
    assert pace.step(500) == 500
    started = time.monotonic()
    await pace.keep(10**9)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(("speed", "step"), [(0.1, 1), (5, 5), (100, 20), (10**5, 200), (10**6, 500)])
def test_slow_work_goes_in_small_steps(speed, step):
    assert Pace(speed).step(500) == step


@pytest.mark.parametrize(("speed", "gathered"), [(0.1, 1), (5, 1), (100, 10), (10**6, 128), (None, 128)])
def test_no_more_is_gathered_than_a_tenth_of_a_second_allows(speed, gathered):
    assert Pace(speed).gathered(128) == gathered


@pytest.mark.parametrize("speed", [0, -1])
def test_a_speed_is_more_than_nothing(speed):
    with pytest.raises(ValueError, match="more than 0"):
        Pace(speed)
