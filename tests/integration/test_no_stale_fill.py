"""A value loaded before an invalidation is given to its caller and never stored: thousands of races."""

import asyncio
import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from langcache_cli.caching import Cache
from langcache_cli.caching._protocol.store import Store
from tests.harness.polling import eventually
from tests.integration.cache_support import Database, Gate, python
from tests.integration.race_worker import WRITERS, Shared

WAYS = ["function", "pattern", "type", "another process", "bare delete"]
WHILE_LOADING = 900  # races each way
AT_OTHER_STEPS = 100
WHILE_REFRESHING = 300
RANDOM_RACES = 3_000
"""10,000 together: 5 * 900 + 5 * 2 * 100 + 5 * 300 + 3,000."""


class PausingStore(Store):
    """Holds every call at one step of the protocol until the gate is opened."""

    def __init__(self, store: Store, step: str, gate: Gate) -> None:
        super().__init__(store.server, lease_seconds=store.lease_ms / 1000)
        self._step = step
        self._gate = gate

    async def acquire(self, *arguments: Any, **options: Any) -> list[Any]:
        return await self._paused("acquire", super().acquire(*arguments, **options))

    async def claim(self, *arguments: Any) -> list[Any]:
        return await self._paused("claim", super().claim(*arguments))

    async def commit(self, *arguments: Any) -> list[Any]:
        return await self._paused("commit", super().commit(*arguments))

    async def _paused(self, name: str, step: Any) -> Any:
        if self._step == f"before {name}":
            await self._gate()
        result = await step
        if self._step == f"after {name}":
            await self._gate()
        return result


@pytest.fixture
def cache(open_cache: Callable[..., Cache]) -> Cache:
    """Hundreds of calls at once take longer than one call may."""
    return open_cache(operation_timeout=20.0, lease_seconds=60.0)


CLEARER = """
import asyncio, sys
from tests.integration.cache_support import cache_at

async def main(url):
    print("ready", flush=True)
    async with cache_at(url) as cache:
        await asyncio.to_thread(sys.stdin.readline)
        print(await cache.invalidate_type("vocabulary"))

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def clear(cache, redis_server, redis_url):
    """`await clear(way, database, items)` removes what is stored of the items; says how many keys."""
    with ExitStack() as stack:

        async def clear(way: str, database: Database, items: range) -> int:
            match way:
                case "function":
                    return sum(await asyncio.gather(*map(database.read.invalidate, items)))
                case "pattern":
                    return await cache.invalidate("cache:*vocab*")
                case "type":
                    return await cache.invalidate_type("vocabulary")
                case "another process":
                    process = stack.enter_context(python("-c", CLEARER, redis_url))
                    output, errors = process.communicate("go\n", timeout=30)
                    assert errors == ""
                    return int(output.split()[1])
            return redis_server.command("DEL", *map(database.read.key_for, items))

        yield clear


def pause(cache: Cache, step: str) -> Gate:
    gate = Gate()
    cache.runtime().store = PausingStore(cache.runtime().store, step, gate)
    return gate


def stored(redis_server, database, items):
    return [value for value in redis_server.command("MGET", *map(database.read.key_for, items)) if value]


async def call_all(read, items):
    return [asyncio.create_task(read(item)) for item in items]


def change(database, items):
    for item in items:
        database.versions[item] += 1


# -- one step at a time --


@pytest.mark.parametrize("way", WAYS)
async def test_what_was_being_loaded_when_it_was_cleared_is_returned_and_not_stored(
    cache, redis_server, clear, way
):
    items = range(WHILE_LOADING)
    database = Database(cache, held=True)
    calls = await call_all(database.read, items)
    await database.gate.reached(len(items))
    change(database, items)
    assert await clear(way, database, items) == len(items)
    database.gate.open()
    assert await asyncio.gather(*calls) == [[item, 0] for item in items]
    assert stored(redis_server, database, items) == []
    assert cache.statistics_of(database.read)["refused"] == len(items)
    assert await asyncio.gather(*map(database.read, items)) == [[item, 1] for item in items]


@pytest.mark.parametrize("step", ["after acquire", "before commit"])
@pytest.mark.parametrize("way", WAYS)
async def test_clearing_between_any_two_steps_of_a_miss_keeps_the_old_value_out(cache, clear, way, step):
    items = range(AT_OTHER_STEPS)
    database, gate = Database(cache), pause(cache, step)
    calls = await call_all(database.read, items)
    await gate.reached(len(items))
    change(database, items)
    assert await clear(way, database, items) == len(items)
    gate.open()
    await asyncio.gather(*calls)
    assert await asyncio.gather(*map(database.read, items)) == [[item, 1] for item in items]


@pytest.mark.parametrize("step", ["before acquire", "after commit"])
async def test_clearing_before_the_lease_or_after_the_commit_leaves_nothing_old(cache, clear, step):
    items = range(AT_OTHER_STEPS)
    database, gate = Database(cache), pause(cache, step)
    calls = await call_all(database.read, items)
    await gate.reached(len(items))
    change(database, items)
    await clear("type", database, items)
    gate.open()
    await asyncio.gather(*calls)
    assert await asyncio.gather(*map(database.read, items)) == [[item, 1] for item in items]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("filled", [True, False], ids=["over an entry", "over nothing"])
async def test_what_was_being_refreshed_when_it_was_cleared_is_not_stored(
    cache, redis_server, clear, way, filled
):
    items = range(WHILE_REFRESHING // 2)
    database = Database(cache)
    if filled:
        await asyncio.gather(*map(database.read, items))
    database.gate.shut()
    calls = await call_all(database.read.refresh, items)
    await database.gate.reached(len(items) * (1 + filled))
    change(database, items)
    assert await clear(way, database, items) == len(items)
    database.gate.open()
    assert await asyncio.gather(*calls) == [[item, 0] for item in items]
    assert stored(redis_server, database, items) == []
    assert await asyncio.gather(*map(database.read, items)) == [[item, 1] for item in items]


async def test_a_load_begun_after_the_clearing_is_stored_while_the_older_one_is_not(cache):
    database = Database(cache, held=True)
    older = asyncio.create_task(database.read(1))
    await database.gate.reached(1)
    change(database, [1])
    await database.read.invalidate(1)
    newer = asyncio.create_task(database.read(1))
    await database.gate.reached(2)
    database.gate.open()
    assert await asyncio.gather(older, newer) == [[1, 1], [1, 1]]
    assert await database.read(1) == [1, 1]
    assert database.reads == {1: 2}


async def test_a_plain_load_never_replaces_what_a_refresh_begun_later_has_stored(cache, open_cache):
    plain, refreshing = Database(cache, held=True), Database(open_cache())
    call = asyncio.create_task(plain.read(1))
    await plain.gate.reached()
    change(refreshing, [1])
    assert await refreshing.read.refresh(1) == [1, 1]
    plain.gate.open()
    assert await call == [1, 1]
    assert await plain.read(1) == [1, 1]


# -- at random, in many processes --


def run_workers(tmp_path, url, roles, enough: Callable[[Shared], bool]):
    """Start a process per role, stop all when there has been enough; their numbers and reports."""
    path = tmp_path / "database"
    shared = Shared.create(path)
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                python("-m", "tests.integration.race_worker", url, str(path), role, str(seed))
            )
            for seed, role in enumerate(roles)
        ]
        stack.callback(shared.stop.__setitem__, 0, 1)
        eventually(lambda: enough(shared) or any(worker.poll() is not None for worker in workers), within=90)
        shared.stop[0] = 1
        reports = [worker.communicate(timeout=60) for worker in workers]
    assert [errors for _, errors in reports if errors] == []
    return shared, [json.loads(output) for output, _ in reports]


WRITER_ROLES = [f"writer-{number}" for number in range(WRITERS)]


def test_no_read_in_any_process_is_older_than_an_acknowledged_invalidation(tmp_path, redis_url):
    roles = ["reader", "reader", *WRITER_ROLES]
    shared, reports = run_workers(
        tmp_path, redis_url, roles, lambda shared: sum(shared.refused) >= RANDOM_RACES
    )
    assert sum(shared.refused) >= RANDOM_RACES
    assert sum(shared.stale) == 0
    assert all(report.get("reads", 1000) >= 1000 for report in reports)


def test_the_same_check_finds_stale_reads_in_a_cache_that_ignores_the_token(tmp_path, redis_url):
    roles = ["unguarded-reader", *WRITER_ROLES]
    shared, _ = run_workers(tmp_path, redis_url, roles, lambda shared: sum(shared.stale) > 0)
    assert sum(shared.stale) > 0
