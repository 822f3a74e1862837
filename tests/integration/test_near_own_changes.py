"""What a process changes itself leaves its memory at once, not only when Redis pushes the change."""

import asyncio
from collections.abc import Sequence
from time import monotonic

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from langcache_cli.caching import cached_many
from langcache_cli.caching._loading.leases import Leases
from langcache_cli.caching._near.tracking import NearCache
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database


@pytest.fixture
async def database(cache, monkeypatch) -> Database:
    """Item 1 is in the memory of this process, which never reads a push."""
    monkeypatch.setattr(NearCache, "_on_push", lambda *_: None)
    database = Database(cache, tags=("word:{item}",), local_ttl=60)

    async def kept() -> bool:
        await database.read(1)
        return in_memory(database)

    await aeventually(kept)
    database.versions[1] = 1
    return database


def in_memory(database: Database) -> bool:
    memory = database.cache.runtime().near().memory
    return memory.get(database.read.key_for(1), monotonic()) is not None


async def test_without_any_change_it_stays(database):
    """Else the tests below could not fail."""
    assert await database.read(1) == [1, 0]
    assert in_memory(database)


@pytest.mark.parametrize("how", ["key", "tag", "pattern", "type", "plain delete"])
async def test_an_invalidation(database, how):
    match how:
        case "key":
            await database.read.invalidate(1)
        case "tag":
            await database.cache.invalidate_tags("word:1")
        case "pattern":
            await database.cache.invalidate("cache:*:1")
        case "type":
            await database.cache.invalidate_type("vocabulary")
        case "plain delete":
            await database.cache.delete(database.read.key_for(1).removeprefix("cache:"))
    assert not in_memory(database)


async def test_an_invalidation_that_redis_does_not_confirm(database, monkeypatch):
    monkeypatch.setattr(database.cache.runtime().store, "invalidate", _never)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await database.read.invalidate(1)
    assert not in_memory(database)


async def _never(*_, **__) -> None:
    await asyncio.Event().wait()


async def test_one_that_a_transaction_waits_with(database):
    engine = create_async_engine("sqlite+aiosqlite://")
    async with AsyncSession(engine) as session:
        database.cache.after_commit(session, database.read.key_for(1))
        assert not in_memory(database)
    await engine.dispose()


async def test_one_that_is_only_kept_for_later(database):
    database.cache.runtime().invalidator.defer([database.read.key_for(1)])
    assert not in_memory(database)


async def test_a_refresh(database):
    assert await database.read.refresh(1) == [1, 1]
    assert not in_memory(database)


async def test_a_batch_that_loads_it(database, redis_server):
    @cached_many(database.read, each="items")
    async def read_many(items: Sequence[int]) -> list[list[int]]:
        return [[item, 1] for item in items]

    redis_server.command("DEL", database.read.key_for(1))
    assert await read_many([1]) == [[1, 1]]
    assert not in_memory(database)


async def test_a_warm_that_withdraws_it(database):
    cache, spec = database.cache, database.read.spec
    runtime = cache.runtime()
    leases = Leases(runtime, spec, cache.lifetime(spec), store=runtime.bulk_store)
    await leases.withdraw(await leases.prepare([(database.read.key_for(1),)]))
    assert not in_memory(database)


async def test_what_an_unconfirmed_invalidation_concerns_is_not_served_from_memory(database):
    database.cache.runtime().outbox.defer([database.read.key_for(1)])
    assert in_memory(database)
    assert await database.read(1) == [1, 1]
