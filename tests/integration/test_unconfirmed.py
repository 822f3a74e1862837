"""What an unconfirmed invalidation of this process concerns is not read from Redis; all else is.

Not even what was asked for before: each answer is judged when it arrives.
"""

import asyncio
from collections.abc import Sequence

import pytest

from langcache_cli.caching import cached_many
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, waiting


def leave_unconfirmed(database: Database, item: int = 1) -> None:
    """As after an invalidation that Redis did not answer; the next call begins to deliver it."""
    database.cache.runtime().outbox.defer([database.read.key_for(item)])


async def stored_elsewhere(open_cache, item: int = 1) -> None:
    await Database(open_cache()).read(item)


async def test_a_look_up_under_way_is_not_used(cache, open_cache):
    database = Database(cache)
    database.versions[1] = 1
    await stored_elsewhere(open_cache)
    await cache.ping()
    call = asyncio.create_task(database.read(1))
    await asyncio.sleep(0)  # it has asked
    leave_unconfirmed(database)
    assert await call == [1, 1]


async def test_the_look_up_that_opens_a_connection_is_not_used(cache, open_cache):
    database = Database(cache)
    database.versions[1] = 1
    await stored_elsewhere(open_cache)
    call = asyncio.create_task(database.read(1))
    await asyncio.sleep(0)
    leave_unconfirmed(database)
    assert await call == [1, 1]


async def test_the_look_up_of_a_batch_is_not_used(cache, open_cache):
    database = Database(cache)

    @cached_many(database.read, each="items")
    async def read_many(items: Sequence[int]) -> list[list[int]]:
        return [[item, 1] for item in items]

    await stored_elsewhere(open_cache)
    await cache.ping()
    call = asyncio.create_task(read_many([1]))
    await asyncio.sleep(0)
    leave_unconfirmed(database)
    assert await call == [[1, 1]]


async def test_the_result_of_a_load_elsewhere_is_not_used(cache, open_cache):
    theirs, ours = Database(open_cache(), held=True), Database(cache)
    ours.versions[1] = 1
    load = asyncio.create_task(theirs.read(1))
    await theirs.gate.reached()
    call = asyncio.create_task(ours.read(1))
    await aeventually(lambda: waiting(cache) == 1)
    leave_unconfirmed(ours)
    theirs.gate.open()
    assert await load == [1, 0]
    assert await call == [1, 1]


@pytest.mark.parametrize(
    ("confirmed", "expected"), [(False, [1, 1]), (True, [1, 0])], ids=["unconfirmed", "all is confirmed"]
)
async def test_the_entry_in_the_place_of_a_refused_one_is_used_only_if(
    cache, open_cache, confirmed, expected
):
    theirs, ours = Database(open_cache()), Database(cache, held=True)
    ours.versions[1] = 1
    call = asyncio.create_task(ours.read(1))
    await ours.gate.reached()
    assert await theirs.read.refresh(1) == [1, 0]  # perhaps from a replica that lags
    if not confirmed:
        leave_unconfirmed(ours)
    ours.gate.open()
    assert await call == expected
