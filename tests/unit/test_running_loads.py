"""The registry of loads under way: one that ends late takes nothing from its successors."""

import asyncio

import pytest

from langcache_cli.caching._protocol.lease import Lease
from langcache_cli.caching._single_flight.flight import LoadResult
from langcache_cli.caching._single_flight.running_loads import RunningLoads

KEY = "cache:vocabulary:1"


class Work:
    """A load that ends when a test says so."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()

    async def __call__(self) -> LoadResult:
        await self.may_end.wait()
        return LoadResult()


@pytest.fixture
async def running() -> RunningLoads:
    return RunningLoads(on_background=lambda _: None)


def begin(running: RunningLoads, token: str, **kind: str):
    """A flight under way, and a coroutine function that ends it."""
    work = Work()
    flight = running.start(token, work, **kind)
    task = asyncio.create_task(flight.run())

    async def end() -> None:
        work.may_end.set()
        await task

    return flight, end


async def test_the_load_that_began_last_is_found_by_its_key(running):
    _, end_first = begin(running, "1" * 16, absent_key=KEY)
    noted = running.started
    second, end_second = begin(running, "2" * 16, absent_key=KEY)
    await end_first()
    assert running.started_since(noted, KEY) is second
    await end_second()
    assert running.started_since(0, KEY) is None
    assert len(running) == 0


async def test_a_load_of_many_takes_nothing_from_a_later_one_of_one_of_its_keys(running):
    may_end = asyncio.Event()

    async def work() -> list[LoadResult]:
        await may_end.wait()
        return [LoadResult()]

    many = asyncio.create_task(running.start_many([Lease(KEY, "1" * 16)], work).run())
    single, end = begin(running, "2" * 16, absent_key=KEY)
    may_end.set()
    await many
    assert running.started_since(0, KEY) is single
    await end()


async def test_a_later_refresh_in_the_background_goes_on_when_an_earlier_one_ends(running):
    _, end_first = begin(running, "1" * 16, served_key=KEY)
    _, end_second = begin(running, "2" * 16, served_key=KEY)
    await end_first()
    assert running.is_refreshing(KEY, 0.0)
    await end_second()
    assert not running.is_refreshing(KEY, 0.0)


async def test_a_later_refresh_can_be_joined_when_an_earlier_one_ends(running):
    _, end_first = begin(running, "1" * 16, claimed_key=KEY)
    second, end_second = begin(running, "2" * 16, claimed_key=KEY)
    await end_first()
    assert running.claiming(KEY) is second
    await end_second()
    assert running.claiming(KEY) is None
