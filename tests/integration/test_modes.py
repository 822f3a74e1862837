"""`bypassed`, `refreshing`: what calls do in them, beside calls that are in none."""

import asyncio
import threading

import pytest

from langcache_cli.caching import MISSING
from langcache_cli.caching._blocks import Mode
from langcache_cli.caching.testing import Faults, memory_cache
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, Gate, waiting
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


async def test_a_bypassed_call_neither_reads_nor_stores(cache, database, many):
    await database.read(1)
    database.versions[1] = 1
    with cache.bypassed():
        assert await database.read(1) == [1, 1]
        assert await many.read([1, 2]) == [[1, 1], [2, 0]]
    assert await database.read(1) == [1, 0]
    assert not await cache.holds(database.read.key_for(2))
    assert cache.statistics_of(database.read)["bypassed"] == 0  # that would look like an outage


async def test_a_bypassed_call_joins_nothing_and_is_not_joined(cache, database):
    database.gate.shut()
    first = asyncio.ensure_future(database.read(1))
    await database.gate.reached()
    with cache.bypassed():
        second = asyncio.ensure_future(database.read(1))
        await database.gate.reached(2)
        third = asyncio.ensure_future(database.read(1))
        await database.gate.reached(3)
        fourth = asyncio.create_task(database.read(1))
        await database.gate.reached(4)
        database.gate.open()
        assert await asyncio.gather(first, second, third, fourth) == [[1, 0]] * 4
    assert database.reads[1] == 4


async def test_the_innermost_block_counts(cache, database):
    await database.read(1)
    database.versions[1] = 1
    with cache.refreshing():
        with cache.bypassed():
            assert await database.read(1) == [1, 1]
        assert cache.direct is False
    assert await database.read(1) == [1, 0]
    with cache.bypassed(), cache.refreshing():
        assert await database.read(1) == [1, 1]
    assert cache.direct is True
    assert await database.read(1) == [1, 1]


async def test_a_block_can_be_entered_again(cache, database):
    block = cache.bypassed()
    for _ in range(2):
        with block, block:
            await database.read(1)
    assert database.reads[1] == 2
    assert cache.direct is True


async def test_other_tasks_are_outside_and_those_created_inside_are_in_it_until_it_ends(cache, database):
    await database.read(1)
    inside, outside = asyncio.Event(), asyncio.Event()

    async def other() -> list[list[int]]:
        await inside.wait()
        return [await database.read(1) for _ in range(3)]

    async def later() -> list[int]:
        await outside.wait()
        return await database.read(1)

    elsewhere = asyncio.create_task(other())
    database.versions[1] = 1
    with cache.bypassed():
        inside.set()
        assert await asyncio.create_task(database.read(1)) == [1, 1]
        assert await elsewhere == [[1, 0]] * 3
        orphan = asyncio.create_task(later())
        await asyncio.sleep(0)
    with cache.traced():  # so that calls look at their blocks
        outside.set()
        assert await orphan == [1, 0]


async def test_other_threads_are_outside(cache, database):
    seen: list[object] = []
    with cache.bypassed():
        thread = threading.Thread(target=lambda: seen.append(cache.modes.mode()))
        thread.start()
        thread.join()
        in_copy = await asyncio.to_thread(cache.modes.mode)
    assert seen == [None]
    assert in_copy is not None


async def test_another_cache_is_outside(cache, database):
    async with memory_cache() as other:
        elsewhere = Database(other)
        await elsewhere.read(1)
        with cache.bypassed():
            await elsewhere.read(1)
    assert elsewhere.reads[1] == 1


async def test_loads_in_the_background_are_in_no_block(cache):
    modes: list[object] = []
    gate = Gate()

    @cache.cached(key_prefix="words", ttl=60)
    async def read(item: int) -> int:
        modes.append(cache.modes.mode())
        await gate()
        return item

    with cache.refreshing():
        first = asyncio.ensure_future(read(1))
        second = asyncio.ensure_future(read(1))
        await gate.reached()
        await aeventually(lambda: waiting(cache) == 2, within=30)
        first.cancel()  # the load is run once more, for the other
        await gate.reached(2)
        gate.open()
        assert await second == 1
    assert modes == [Mode.REFRESHING, None]


async def test_nested_calls_are_in_the_block_too(cache, database):
    @cache.cached(key_prefix="pages")
    async def page(item: int) -> list[int]:
        return await database.read(item)

    await page(1)
    database.versions[1] = 1
    with cache.refreshing():
        assert await page(1) == [1, 1]
    assert await page(1) == await database.read(1) == [1, 1]


async def test_plain_values(cache):
    await cache.set("a", 1)
    with cache.bypassed():
        assert await cache.get("a") is None
        assert await cache.set("a", 2) is False
        assert await cache.set("b", 2) is False
    assert (await cache.get_many(["a", "b"])) == {"a": 1, "b": MISSING}
    with cache.refreshing():
        assert await cache.get("a") is None
        assert await cache.set("a", 3) is True
    assert await cache.get("a") == 3


async def test_what_is_asked_for_by_name_is_done_all_the_same(cache, database):
    await database.read(1)
    with cache.bypassed():
        database.versions[1] = 1
        assert await database.read.refresh(1) == [1, 1]
    assert await database.read(1) == [1, 1]
    with cache.bypassed():
        assert await database.read.invalidate(1)
    assert await database.read(1) == [1, 1]
    assert database.reads[1] == 3


async def test_methods_through_an_instance_and_through_the_class(cache):
    class Service:
        def __init__(self) -> None:
            self.runs = 0

        @cache.cached(key_prefix="words")
        async def read(self, item: int) -> int:
            self.runs += 1
            return item

    service = Service()
    await service.read(1)
    for mode in (cache.bypassed, cache.refreshing):
        with mode():
            assert await service.read(1) == await Service.read(service, 1) == 1
    assert service.runs == 5
    await service.read(1)
    assert service.runs == 5


async def test_blocks_in_many_threads_and_subscriptions_meanwhile(cache):
    async def work() -> None:
        for _ in range(100):
            with cache.bypassed(), cache.traced():
                assert cache.direct is False
            cache.events.subscribe(lambda event: None)()

    threads = [threading.Thread(target=asyncio.run, args=(work(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.direct is True
    assert cache.events.asked is False


async def test_the_child_of_a_fork_keeps_its_own_blocks_only(cache):
    inside, done = threading.Event(), threading.Event()

    def other_thread() -> None:
        with cache.traced():
            inside.set()
            done.wait(30)

    thread = threading.Thread(target=other_thread)
    thread.start()
    inside.wait(30)
    with cache.bypassed():
        cache.modes._start_in_child()  # what a fork runs
        assert cache.direct is False
        assert cache.events.asked is False
    assert cache.direct is True
    cache.modes._count = cache.modes._n_recorders = 1  # as in the parent
    done.set()
    thread.join()
    assert cache.direct is True
