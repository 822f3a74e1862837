"""A lease under which nothing is stored is given back at once: nobody waits for it to end."""

import asyncio
from collections.abc import Sequence

import pytest

from langcache_cli.caching import Cache, CacheUnavailableError, cached_many
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, Gate
from tests.integration.lost_answers import hold, lose_answers, lose_requests

LEASE_SECONDS = 60.0
"""Longer than any of these tests may take."""


@pytest.fixture
def cache(open_cache) -> Cache:
    return open_cache(lease_seconds=LEASE_SECONDS)


@pytest.fixture
def database(cache) -> Database:
    return Database(cache)


def many_of(database: Database):
    """A batch of the same function: item 2 has no value, item 3 one that cannot be stored."""

    @cached_many(database.read, each="items")
    async def read_many(items: Sequence[int]) -> list[list[int]]:
        await database.gate()
        special = {2: LookupError("no item 2"), 3: [3, float("nan")]}
        return [special.get(item, [item, 0]) for item in items]

    return read_many


async def all_free(database: Database, redis_server, *items: int) -> None:
    """Wait until no lease is left under the keys of items."""
    for item in items:
        key = database.read.key_for(item)
        await aeventually(
            lambda key=key: not (redis_server.command("GET", key) or b"").startswith(b"lc1 lease")
        )


async def cancelled(task: asyncio.Task) -> None:
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_one_whose_answer_was_lost(cache, database, redis_server, monkeypatch):
    lose_answers(monkeypatch, cache.runtime().store, "acquire")
    assert await database.read(1) == [1, 0]
    await all_free(database, redis_server, 1)


async def test_many_whose_answer_was_lost(cache, database, redis_server, monkeypatch):
    lose_answers(monkeypatch, cache.runtime().store, "acquire")
    assert await many_of(database)([1, 4]) == [[1, 0], [4, 0]]
    await all_free(database, redis_server, 1, 4)


async def test_one_that_was_being_taken_when_its_call_was_cancelled(
    cache, database, redis_server, monkeypatch
):
    gate = hold(monkeypatch, cache.runtime().store, "acquire")
    call = asyncio.create_task(database.read(1))
    await gate.reached()
    await cancelled(call)
    await all_free(database, redis_server, 1)


async def test_many_that_were_being_taken_when_their_call_was_cancelled(
    cache, database, redis_server, monkeypatch
):
    gate = hold(monkeypatch, cache.runtime().store, "acquire")
    call = asyncio.create_task(many_of(database)([1, 4]))
    await gate.reached()
    await cancelled(call)
    await all_free(database, redis_server, 1, 4)


async def test_one_whose_value_did_not_reach_redis(cache, database, redis_server, monkeypatch):
    lose_requests(monkeypatch, cache.runtime().store, "commit")
    assert await database.read(1) == [1, 0]
    await all_free(database, redis_server, 1)


async def test_many_whose_values_did_not_reach_redis(cache, database, redis_server, monkeypatch):
    lose_requests(monkeypatch, cache.runtime().store, "commit")
    assert await many_of(database)([1, 4]) == [[1, 0], [4, 0]]
    await all_free(database, redis_server, 1, 4)


@pytest.mark.parametrize("there", ["nothing", "an old entry"])
async def test_one_of_a_refresh_whose_value_did_not_reach_redis(
    cache, database, redis_server, monkeypatch, there
):
    if there != "nothing":
        await database.read(1)
    lose_requests(monkeypatch, cache.runtime().store, "commit")
    with pytest.raises(CacheUnavailableError):
        await database.read.refresh(1)
    await aeventually(lambda: redis_server.command("EXISTS", database.read.key_for(1)) == 0)


@pytest.mark.parametrize("item", [2, 3], ids=["an item that failed", "an item that cannot be stored"])
async def test_that_of_an_item_without_an_entry(cache, open_cache, database, item):
    await asyncio.gather(many_of(database)([1, item]), return_exceptions=True)
    other = Database(open_cache())
    async with asyncio.timeout(LEASE_SECONDS / 4):
        assert await other.read(item) == [item, 0]


async def test_one_whose_failure_did_not_reach_redis(cache, database, redis_server, monkeypatch):
    lose_requests(monkeypatch, cache.runtime().store, "fail")
    database.error = LookupError("no such item")
    with pytest.raises(LookupError):
        await database.read(1)
    await all_free(database, redis_server, 1)


async def test_many_whose_failures_did_not_reach_redis(cache, database, redis_server, monkeypatch):
    lose_requests(monkeypatch, cache.runtime().store, "fail")
    with pytest.raises(LookupError):
        await many_of(database)([1, 2])
    await all_free(database, redis_server, 1, 2)


async def test_one_whose_call_was_cancelled_while_it_failed(cache, database, redis_server, monkeypatch):
    gate = Gate()
    monkeypatch.setattr(cache.runtime().store, "fail", lambda *_: gate())
    database.error = LookupError("no such item")
    call = asyncio.create_task(database.read(1))
    await gate.reached()
    await cancelled(call)
    await all_free(database, redis_server, 1)


@pytest.mark.parametrize("how", ["one of them failed", "all of them failed"])
async def test_many_whose_call_was_cancelled_while(cache, database, redis_server, monkeypatch, how):
    gate = Gate()
    monkeypatch.setattr(cache.runtime().store, "fail", lambda *_: gate())
    read_many = many_of(database)
    if how == "all of them failed":

        @cached_many(database.read, each="items")
        async def read_many(items: Sequence[int]) -> list[list[int]]:
            raise LookupError(f"no items {items}")

    call = asyncio.create_task(read_many([1, 2]))
    await gate.reached()
    await cancelled(call)
    await all_free(database, redis_server, 1, 2)
