"""`refreshing`: calls in it load and replace, beside calls that are not."""

import asyncio
import contextlib

import httpx
import pytest
from fastapi import Depends, FastAPI

from langcache_cli.caching.testing import Faults, memory_cache
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, waiting
from tests.integration.modes_support import Many


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def cache(faults):
    async with memory_cache(faults=faults, operation_timeout=5.0) as cache:
        yield cache


@pytest.fixture
def database(cache) -> Database:
    return Database(cache, tags=("item:{item}",))


@pytest.fixture
def many(database) -> Many:
    return Many(database)


async def test_a_refreshing_call_loads_and_replaces(cache, database, many):
    for item in (1, 2, 3):
        await database.read(item)
        database.versions[item] = 1
    async with cache.refreshing():
        assert await database.read(1) == [1, 1]
        assert await many.read([2, 4, 2]) == [[2, 1], [4, 0], [2, 1]]
    assert many.runs == [[2, 4]]
    assert [await database.read(item) for item in (1, 2, 3, 4)] == [[1, 1], [2, 1], [3, 0], [4, 0]]
    assert database.reads == {1: 2, 2: 1, 3: 1}


async def test_refreshing_calls_of_one_burst_share_a_load_and_the_old_value_is_served(cache, database, many):
    await database.read(1)
    database.versions[1] = 1
    database.gate.shut()
    with cache.refreshing():
        calls = [asyncio.ensure_future(database.read(1)) for _ in range(10)]
        calls += [asyncio.ensure_future(many.read([1])) for _ in range(3)]
        await database.gate.reached(2)
    assert await database.read(1) == [1, 0]
    database.gate.open()
    assert await asyncio.gather(*calls) == [[1, 1]] * 10 + [[[1, 1]]] * 3
    assert database.reads[1] == 2
    assert many.runs == []
    assert await database.read(1) == [1, 1]


async def test_bursts_of_batches_share_loads(cache, database, many):
    many.gate.shut()
    with cache.refreshing():
        calls = [asyncio.ensure_future(many.read(items)) for items in ([1, 2], [2, 3], [1, 3])]
        calls.append(asyncio.ensure_future(database.read(3)))
        await many.gate.reached(2)
        many.gate.open()
        values = await asyncio.gather(*calls)
    assert values == [[[1, 0], [2, 0]], [[2, 0], [3, 0]], [[1, 0], [3, 0]], [3, 0]]
    assert sorted(many.runs) == [[1, 2], [3]]
    assert not database.reads


async def test_a_call_outside_takes_the_value_of_a_refresh_and_an_invalidation_wins(cache, database):
    database.gate.shut()
    with cache.refreshing():
        refreshing = asyncio.ensure_future(database.read(1))
        await database.gate.reached()
    outside = asyncio.ensure_future(database.read(1))
    await aeventually(lambda: waiting(cache) == 2, within=30)
    database.gate.open()
    assert await asyncio.gather(refreshing, outside) == [[1, 0]] * 2
    assert database.reads[1] == 1

    database.gate.shut()
    with cache.refreshing():
        refreshing = asyncio.ensure_future(database.read(1))
        await database.gate.reached(2)
    await cache.invalidate_tags("item:1")
    database.versions[1] = 1
    database.gate.open()
    assert await database.read(1) == [1, 1]
    assert (await refreshing) in ([1, 0], [1, 1])
    assert await database.read(1) == [1, 1]


@pytest.mark.parametrize("many_items", [False, True])
async def test_an_error_of_a_refreshing_call_keeps_the_old_entry(cache, database, many, many_items):
    await database.read(1)
    database.error = LookupError("gone")
    with cache.refreshing(), pytest.raises(LookupError, match="gone"):
        await (many.read([1, 2]) if many_items else database.read(1))
    database.error = None
    assert await database.read(1) == [1, 0]
    assert database.reads[1] == (1 if many_items else 2)
    assert await asyncio.wait_for(database.read(2), 30) == [2, 0]


@pytest.mark.parametrize("many_items", [False, True])
async def test_a_cancelled_refresh_leaves_no_lease(cache, database, many, many_items):
    await database.read(1)
    gate = many.gate if many_items else database.gate
    gate.shut()
    already = gate.arrived
    with cache.refreshing():
        call = asyncio.ensure_future(many.read([1, 2]) if many_items else database.read(1))
        await gate.reached(already + 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    gate.open()
    assert await database.read(1) == [1, 0]
    assert await asyncio.wait_for(database.read(2), 30) == [2, 0]


async def test_without_redis_a_refreshing_call_runs_its_function_once(cache, database, many, faults):
    await database.read(1)
    database.versions[1] = 1
    faults.fail()
    with cache.refreshing():
        assert await database.read(1) == [1, 1]
        assert await many.read([1, 2]) == [[1, 1], [2, 0]]
    assert database.reads[1] == 2
    assert many.runs == [[1, 2]]


async def test_a_function_that_calls_itself_with_the_same_arguments(cache):
    depth = 0

    @cache.cached(key_prefix="words")
    async def read(item: int) -> list[int]:
        nonlocal depth
        depth += 1
        mine = depth
        if mine < 3:
            await read(item)
        return [item, mine]

    with cache.refreshing():
        assert await read(1) == [1, 1]
    assert depth == 3
    assert await read(1) == [1, 1]


async def test_a_request_can_ask_for_it(cache, database):
    async def fresh(refresh: bool = False):
        with cache.refreshing() if refresh else contextlib.nullcontext():
            yield

    app = FastAPI()

    @app.get("/items/{item}", dependencies=[Depends(fresh)])
    async def get_item(item: int) -> list[int]:
        return await database.read(item)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        for version, query in enumerate(["", "?refresh=1", ""]):
            database.versions[1] = version
            assert (await client.get(f"/items/1{query}")).json() == [1, min(version, 1)]
    assert cache.direct is True
