"""One run is that of all who wait: its value when Redis takes none, and its failure, in all processes."""

import asyncio
import time
import traceback
from collections.abc import Sequence

import pytest

from langcache_cli.caching import CacheUnavailableError, cached_many
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, waiting

FAULTS = {
    "full": ("CONFIG", "SET", "maxmemory", "1"),
    "read-only": ("REPLICAOF", "127.0.0.1", "1"),
    "paused": ("CLIENT", "PAUSE", "60000", "WRITE"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("tags", [(), ("items",)], ids=["plain", "tagged"])
async def test_callers_share_a_value_that_redis_does_not_take(open_cache, own_redis, fault, tags):
    server = own_redis()
    cache = open_cache(server.url, operation_timeout=1.0)
    database = Database(cache, held=True, tags=tags)
    await cache.get("connected")
    server.command(*FAULTS[fault])
    calls = [asyncio.create_task(database.read(1)) for _ in range(50)]
    await aeventually(lambda: waiting(cache) == 50, every=0.001)
    await database.gate.reached()
    database.gate.open()
    values = await asyncio.gather(*calls)
    assert values == [[1, 0]] * 50
    assert len(set(map(id, values))) == 50
    assert database.reads == {1: 1}
    assert cache.statistics_of(database.read)["bypassed"] == 1


class Unknown:
    """A namespace whose classes other processes cannot find."""

    def __new__(cls):
        class LocalError(Exception):
            pass

        return LocalError("unknown elsewhere")


@pytest.mark.parametrize("tags", [(), ("items",)], ids=["plain", "tagged"])
@pytest.mark.parametrize("callers", [1, 5])
async def test_one_failure_is_that_of_all_who_waited_in_eight_processes(open_cache, tags, callers):
    databases = [Database(open_cache(), held=True, tags=tags) for _ in range(8)]
    calls = [asyncio.create_task(databases[0].read(1)) for _ in range(callers)]
    await databases[0].gate.reached()
    for database in databases:
        database.error = LookupError("no such word", 1)
    for database in databases[1:]:
        calls += [asyncio.create_task(database.read(1)) for _ in range(callers)]
        await aeventually(lambda database=database: waiting(database.cache) == callers, every=0.001)
    started = time.monotonic()
    databases[0].gate.open()
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert time.monotonic() - started < 5
    assert [repr(error) for error in errors] == ["LookupError('no such word', 1)"] * len(calls)
    assert len(set(map(id, errors))) == len(calls)
    assert [sum(database.reads.values()) for database in databases] == [1] + [0] * 7
    databases[1].error = None
    databases[1].gate.open()
    assert await databases[1].read(1) == [1, 0]  # a call that begins afterwards loads


@pytest.mark.parametrize("why", ["error", "value"])
async def test_what_cannot_be_passed_on_is_found_out_by_all_at_once(open_cache, why):
    """Not one after another: each process runs the function once, whatever the number of its calls."""
    databases = [Database(open_cache(), held=True) for _ in range(4)]
    for database in databases:
        if why == "error":
            database.error = Unknown()
        else:
            database.versions[1] = object()
    calls = []
    for database in databases:
        calls += [asyncio.create_task(database.read(1)) for _ in range(3)]
        if database is databases[0]:
            await database.gate.reached()
        await aeventually(lambda database=database: waiting(database.cache) == 3, every=0.001)
    databases[0].gate.open()
    for database in databases[1:]:
        await database.gate.reached()  # all are running, and none has ended
    for database in databases[1:]:
        database.gate.open()
    results = await asyncio.gather(*calls, return_exceptions=True)
    if why == "error":
        assert [str(result) for result in results] == ["unknown elsewhere"] * 12
        assert [sum(database.reads.values()) for database in databases] == [1] * 4
    else:
        assert [result[0] for result in results] == [1] * 12


async def test_a_batch_that_fails_fails_those_who_wait_for_its_items(open_cache):
    ours, theirs = Database(open_cache(), held=True), Database(open_cache(), held=True)

    @cached_many(ours.read, each="items")
    async def read_many(items: Sequence[int]) -> list[list[int] | Exception]:
        await ours.gate()
        return [[1, 0], LookupError("two")] if ours.error is None else [][items[0]]

    many = asyncio.create_task(read_many([1, 2]))
    await ours.gate.reached()
    single = asyncio.create_task(theirs.read(2))
    await aeventually(lambda: waiting(theirs.cache) == 1, every=0.001)
    ours.gate.open()
    for call in (many, single):
        with pytest.raises(LookupError, match="two"):
            await call
    assert theirs.reads == {}


async def test_those_who_share_an_error_have_one_of_their_own_whose_traceback_does_not_grow(cache):
    database = Database(cache, held=True)
    database.error = LookupError("no such word")
    calls = [asyncio.create_task(database.read(1)) for _ in range(30)]
    await aeventually(lambda: waiting(cache) == 30, every=0.001)
    database.gate.open()
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert len({id(error) for error in errors}) == 30
    assert max(len(traceback.extract_tb(error.__traceback__)) for error in errors) < 25


async def test_a_failure_that_cannot_be_written_down_frees_the_key_all_the_same(
    open_cache, redis_server, monkeypatch
):
    cache = open_cache(lease_seconds=60.0)
    database = Database(cache)
    database.error = LookupError("no such word")

    async def spent(*_: object) -> None:
        raise CacheUnavailableError("the time that the cache may add to this call is spent", target="")

    monkeypatch.setattr(cache.runtime().store, "fail", spent)
    with pytest.raises(LookupError):
        await database.read(1)
    await aeventually(lambda: redis_server.command("EXISTS", database.read.key_for(1)) == 0)
