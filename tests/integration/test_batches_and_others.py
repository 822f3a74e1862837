"""A batch and the loads of other calls: newer values win, and one session is used by one load at a time."""

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from langcache_cli.caching import cached_many
from langcache_cli.caching._protocol.lease import new_lease
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database


async def test_an_item_that_was_invalidated_meanwhile_has_the_newer_value_that_is_there(cache, open_cache):
    ours, theirs = Database(cache, held=True), Database(open_cache())

    @cached_many(ours.read, each="items")
    async def read_many(items: Sequence[int]) -> list[list[int]]:
        values = [[item, 0] for item in items]
        await ours.gate()
        return values

    call = asyncio.create_task(read_many([1, 2]))
    await ours.gate.reached()
    theirs.versions[1] = 1
    await theirs.read.invalidate(1)
    assert await theirs.read(1) == [1, 1]
    ours.gate.open()
    assert await call == [[1, 1], [2, 0]]
    assert await ours.read(1) == [1, 1]


async def test_items_that_others_did_not_load_after_all_are_loaded_one_after_the_other(cache, open_cache):
    at_once, most, loaded = 0, 0, []

    @cache.cached(key_prefix="vocabulary")
    async def read(item: int, db: AsyncSession) -> int:
        return item

    @cached_many(read, each="items")
    async def read_many(items: Sequence[int], db: AsyncSession) -> list[int]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        for _ in range(10):
            await asyncio.sleep(0)
        loaded.append(list(items))
        at_once -= 1
        return list(items)

    session: Any = object()
    store = open_cache(lease_seconds=60.0).runtime().store
    theirs = [new_lease(read.key_for(item=item)) for item in (1, 2, 3)]
    assert await store.acquire(theirs) == [None, None, None]
    call = asyncio.create_task(read_many([1, 2, 3, 4], session))
    await aeventually(lambda: loaded == [[4]])
    await store.release(theirs)
    assert await call == [1, 2, 3, 4]
    assert loaded == [[4], [1], [2], [3]]
    assert most == 1
