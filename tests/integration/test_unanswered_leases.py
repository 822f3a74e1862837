"""A lease that Redis may have given, as the answer was lost: no call waits for a load that does not run."""

import asyncio
from collections.abc import Sequence

import pytest

from langcache_cli.caching import Cache, CacheUnavailableError, cached_many
from langcache_cli.caching._protocol.entry import parse
from langcache_cli.caching._protocol.lease import new_leases
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, make_stale
from tests.integration.lost_answers import hold, lose_answers

LEASE_SECONDS = 300.0
"""Longer than the tests, and than an entry lives: one that is kept for its lease can be told."""

TTL_SECONDS = 60


@pytest.fixture
def cache(open_cache) -> Cache:
    return open_cache(lease_seconds=LEASE_SECONDS)


def batch_of(database: Database):
    @cached_many(database.read, each="items")
    async def read_many(items: Sequence[int]) -> list[list[int]]:
        database.reads.update(items)
        return [[item, database.versions[item]] for item in items]

    return read_many


async def ends_in_time(redis_server, key: str) -> None:
    """Wait until an entry is leased, and has the time to live that it would have without."""

    def ends() -> bool:
        entry = parse(redis_server.command("GET", key))
        return entry.leased_until_ms and redis_server.command("PTTL", key) <= 2 * TTL_SECONDS * 1000

    await aeventually(ends)


async def test_a_refresh_of_an_empty_key_leaves_none(open_cache, own_redis, fault_proxy):
    server = own_redis()
    proxy = fault_proxy(server.port)
    cache = open_cache(
        f"redis://127.0.0.1:{proxy.port}/0", operation_timeout=0.3, lease_seconds=LEASE_SECONDS
    )
    database = Database(cache)
    await database.read.refresh(2)
    await cache.runtime().store.release(new_leases(["cache:other"]))  # Redis knows the scripts from now on
    key = database.read.key_for(1)
    proxy.swallow_replies()
    refresh = asyncio.create_task(database.read.refresh(1))
    await aeventually(lambda: server.command("EXISTS", key))
    with pytest.raises(CacheUnavailableError):
        await refresh
    await aeventually(lambda: not server.command("EXISTS", key))


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
async def test_a_refresh_of_an_entry_does_not_prolong_it(cache, redis_server, monkeypatch, many):
    database = Database(cache, ttl=TTL_SECONDS)
    key = database.read.key_for(1)
    await database.read(1)
    lose_answers(monkeypatch, cache.runtime().store, "claim")
    with cache.refreshing():
        await (batch_of(database)([1]) if many else database.read(1))
    await ends_in_time(redis_server, key)


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
async def test_the_load_of_a_successor_does_not_prolong_the_old_entry(cache, redis_server, monkeypatch, many):
    database = Database(cache, ttl=TTL_SECONDS, stale_ttl=TTL_SECONDS)
    key, read_many = database.read.key_for(1), batch_of(database)
    await database.read(1)
    make_stale(redis_server, key)
    lose_answers(monkeypatch, cache.runtime().store, "elect")
    for _ in range(3):
        assert await (read_many([1]) if many else database.read(1)) == ([[1, 0]] if many else [1, 0])
        await ends_in_time(redis_server, key)
    assert database.reads[1] == 1  # one attempt for each lease


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
async def test_nor_does_one_that_is_cancelled_meanwhile(cache, redis_server, monkeypatch, many):
    database = Database(cache, ttl=TTL_SECONDS, stale_ttl=TTL_SECONDS)
    key, read_many = database.read.key_for(1), batch_of(database)
    await database.read(1)
    make_stale(redis_server, key)
    gate = hold(monkeypatch, cache.runtime().store, "elect")
    await (read_many([1]) if many else database.read(1))
    await gate.reached()
    assert redis_server.command("PTTL", key) > 2 * TTL_SECONDS * 1000
    for task in cache.runtime().background.tasks():
        task.cancel()
    await ends_in_time(redis_server, key)


async def test_many_elections_without_an_answer_are_undone_in_one_step(cache, redis_server, monkeypatch):
    database = Database(cache, ttl=TTL_SECONDS, stale_ttl=TTL_SECONDS)
    read_many, store, released = batch_of(database), cache.runtime().store, []
    await read_many([*range(100)])
    for item in range(100):
        make_stale(redis_server, database.read.key_for(item))
    lose_answers(monkeypatch, store, "elect")
    release = store.release

    async def counting(leases, *arguments, **options):
        released.append(len(leases))
        return await release(leases, *arguments, **options)

    monkeypatch.setattr(store, "release", counting)
    await read_many([*range(100)])
    await ends_in_time(redis_server, database.read.key_for(99))
    assert released == [100]
