"""Doing much at a given speed."""

import asyncio

import pytest

from langcache_cli.caching._protocol import pace as module
from langcache_cli.caching.tooling import Pace


class Clock:
    """Time that passes only while somebody sleeps, or is said to have passed."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    monkeypatch.setattr(asyncio, "sleep", clock.sleep)
    return clock


async def test_so_many_keys_take_so_long(clock):
    pace = Pace(1000)
    for _ in range(5):
        await pace.keep(20)
    assert clock.now == pytest.approx(100.1)


async def test_time_that_was_lost_elsewhere_is_made_up_for(clock):
    pace = Pace(1000)
    clock.now += 0.05
    await pace.keep(20)
    assert clock.now == pytest.approx(100.05)


async def test_a_long_stall_is_not_made_up_for(clock):
    pace = Pace(1000)
    clock.now += 0.5
    for _ in range(15):
        await pace.keep(20)
    assert clock.now == pytest.approx(100.5 + 0.3 - 0.02 - module.CATCH_UP_SECONDS)


async def test_without_a_speed_nobody_waits(clock):
    pace = Pace(None)
    assert pace.step(500) == 500
    await pace.keep(10**9)
    assert clock.now == 100.0


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
