"""Of two refreshes at once the later one wins, and nothing older than what was returned is served again."""

import asyncio
from collections.abc import Callable

import pytest

from langcache_cli.caching import Cache
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, Gate


@pytest.fixture
def cache(open_cache: Callable[..., Cache]) -> Cache:
    """Hundreds of calls at once take longer than one call may."""
    return open_cache(operation_timeout=20.0, lease_seconds=60.0)


JOINS_SECONDS = 1.0
"""For so long a refresh whose value was refused waits for the later one, which these tests hold."""


@pytest.mark.parametrize("same_process", [True, False], ids=["one process", "two caches"])
async def test_when_a_refresh_has_returned_nothing_older_is_served_though_another_claimed_the_entry(
    open_cache, same_process
):
    first = Database(open_cache(load_timeout=JOINS_SECONDS))
    second = first if same_process else Database(open_cache())
    assert await first.read(1) == [1, 0]
    for database in {first, second}:
        database.versions[1] = 1
        database.gate.shut()
    gates = first.gate, second.gate if second is not first else Gate()
    one = asyncio.create_task(first.read.refresh(1))
    await first.gate.reached(2)
    second.gate = gates[1]
    two = asyncio.create_task(second.read.refresh(1))
    await second.gate.reached(1)
    gates[0].open()
    assert await one == [1, 1]
    first.gate = Gate(is_open=True)
    assert await first.read(1) == [1, 1]
    gates[1].open()
    assert await two == [1, 1]
    assert await first.read(1) == [1, 1]


async def test_the_old_value_does_not_come_back_when_the_later_of_two_refreshes_fails(open_cache):
    first, second = Database(open_cache(load_timeout=JOINS_SECONDS)), Database(open_cache(), held=True)
    assert await first.read(1) == [1, 0]
    first.versions[1] = 1
    first.gate.shut()
    one = asyncio.create_task(first.read.refresh(1))
    await first.gate.reached(2)
    two = asyncio.create_task(second.read.refresh(1))
    await second.gate.reached(1)
    first.gate.open()
    assert await one == [1, 1]
    second.error = LookupError("the database went away")
    second.gate.open()
    with pytest.raises(LookupError):
        await two
    assert await first.read(1) == [1, 1]


async def test_a_refresh_whose_value_cannot_be_cached_removes_the_old_entry(cache, redis_server):
    values = [1, {1}]

    @cache.cached(key_prefix="vocabulary")
    async def odd(item: int):
        return values.pop(0)

    await odd(1)
    assert await odd.refresh(1) == {1}
    await aeventually(lambda: redis_server.command("EXISTS", odd.key_for(1)) == 0)
