"""What a process changes itself leaves its memory at once, not only when Redis pushes the change."""

import asyncio
from collections.abc import Sequence
from time import monotonic

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from langcache_cli.caching import cached_many
from langcache_cli.caching._front.warm import warm
from langcache_cli.caching._loading.leases import Leases
from langcache_cli.caching._near.tracking import NearCache
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database


@pytest.fixture
async def database(cache, monkeypatch) -> Database:
    """See `in_memory_of`; there is a newer version of item 1."""
    database = await in_memory_of(cache, monkeypatch, tags=("word:{item}",))
    database.versions[1] = 1
    return database


async def in_memory_of(cache, monkeypatch, **options) -> Database:
    """Item 1 is in the memory of this process, which never reads a push."""
    monkeypatch.setattr(NearCache, "_on_push", lambda *_: None)
    database = Database(cache, local_ttl=60, **options)

    async def kept() -> bool:
        await database.read(1)
        return in_memory(database)

    await aeventually(kept)
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


@pytest.mark.parametrize("value", [[1, 1], [1, float("nan")]], ids=["stored", "cannot be stored"])
async def test_a_warm(database, value):
    async def load(calls):
        return [value for _ in calls]

    await warm(database.cache, database.read, [{"item": 1}], load)
    assert not in_memory(database)


def leases_of(database: Database) -> Leases:
    runtime, spec = database.cache.runtime(), database.read.spec
    return Leases(runtime, spec, database.cache.lifetime(spec), store=runtime.bulk_store)


async def test_a_warm_that_withdraws_it(database):
    leases = leases_of(database)
    await leases.withdraw(await leases.prepare([(database.read.key_for(1),)]))
    assert not in_memory(database)


async def test_a_batch_that_has_no_value_for_it(database):
    leases = leases_of(database)
    await leases.fail(await leases.prepare([(database.read.key_for(1),)]), [None])
    assert not in_memory(database)


@pytest.mark.parametrize("why", ["declined", "too_large"])
async def test_a_refresh_whose_value_is_not_kept(cache, monkeypatch, why):
    options = {"ttl": lambda value: 60 if value[1] == 0 else None} if why == "declined" else {"max_bytes": 8}
    database = await in_memory_of(cache, monkeypatch, **options)
    database.versions[1] = 1_000_000
    assert await database.read.refresh(1) == [1, 1_000_000]
    assert cache.statistics_of(database.read)[why] == 1
    assert not in_memory(database)


async def test_what_an_unconfirmed_invalidation_concerns_is_not_served_from_memory(database):
    database.cache.runtime().outbox.defer([database.read.key_for(1)])
    assert in_memory(database)
    assert await database.read(1) == [1, 1]
