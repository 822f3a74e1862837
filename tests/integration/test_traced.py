"""`traced` and `observe`: what each call was, and how long it took."""

import asyncio

import pytest

from langcache_cli.caching import CallRecord, cached_many
from langcache_cli.caching.testing import FakeClock, Faults, memory_cache, null_cache
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, waiting


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def memory(clock, faults):
    async with memory_cache(clock=clock, faults=faults, operation_timeout=5.0) as cache:
        yield cache


def outcomes(trace: list[CallRecord]) -> list[tuple[str, str]]:
    return [(record.key.rpartition(":")[2], record.outcome) for record in trace]


async def test_hits_misses_and_calls_that_went_past_the_cache(memory, faults):
    database = Database(memory, prefix="words")
    with memory.traced() as trace:
        await database.read(1)
        await database.read(1)
        with memory.bypassed():
            await database.read(2)
        with memory.refreshing():
            await database.read(3)
        faults.fail()
        await database.read(4)
    assert outcomes(trace) == [
        ("1", "miss"), ("1", "hit"), ("2", "bypassed"), ("3", "refreshed"), ("4", "bypassed"),
    ]  # fmt: skip
    record = trace[0]
    assert (record.function, record.key) == ("read", "cache:words:read:1")
    assert record.label == memory.label(database.read.spec)
    assert all(0 < record.seconds < 30 and not record.raised for record in trace)
    assert record.started == pytest.approx(trace[-1].started, abs=60)
    assert memory.direct is True
    assert memory.events.asked is False


async def test_calls_that_wait_and_stale_hits(memory, clock):
    database = Database(memory, held=True, ttl=60, stale_ttl=60)
    with memory.traced() as trace:
        calls = [asyncio.create_task(database.read(1)) for _ in range(3)]
        await aeventually(lambda: waiting(memory) == 3, within=30)
        database.gate.open()
        await asyncio.gather(*calls)
        assert sorted(outcomes(trace)) == [("1", "miss"), ("1", "waited"), ("1", "waited")]
        clock.advance(61)
        await database.read(1)
    assert outcomes(trace)[3:] == [("1", "stale")]


async def test_near_hits(cache):
    database = Database(cache, local_ttl=60)
    await database.read(1)

    async def is_near() -> bool:
        with cache.traced() as trace:
            await database.read(1)
        return outcomes(trace) == [("1", "near")]

    await aeventually(is_near, within=30)


async def test_a_record_for_each_item_of_a_call_for_many(memory):
    database = Database(memory)

    @cached_many(database.read, each="items")
    async def read_all(items: list[int]) -> list[list[int]]:
        return [[item, 0] for item in items]

    await database.read(1)
    with memory.traced() as trace:
        await read_all([1, 2, 1])
        with memory.refreshing():
            await read_all([2])
        with memory.bypassed():
            await read_all([3])
    assert outcomes(trace) == [("1", "hit"), ("2", "miss"), ("2", "refreshed"), ("3", "bypassed")]
    assert trace[0].seconds == trace[1].seconds


async def test_calls_inside_calls_have_records_of_their_own_and_blocks_nest(memory):
    database = Database(memory)

    @memory.cached(key_prefix="pages")
    async def page(item: int) -> list[int]:
        return await database.read(item)

    await database.read(1)
    with memory.traced() as outer:
        with memory.traced() as inner:
            await page(1)
        await page(1)
    assert [record.function for record in inner] == ["read", "page"]
    assert outcomes(inner) == [("1", "hit"), ("1", "miss")]
    assert outer == [*inner, outer[2]]
    assert outer[2].outcome == "hit"


async def test_each_request_has_a_trace_of_its_own(memory):
    database = Database(memory)

    async def request(item: int) -> list[str]:
        with memory.traced() as trace:
            await asyncio.gather(*(database.read(item + number) for number in range(5)))
        return [record.key for record in trace]

    traces = await asyncio.gather(*(request(10 * number) for number in range(20)))
    for number, trace in enumerate(traces):
        assert sorted(trace) == sorted(database.read.key_for(10 * number + more) for more in range(5))
    await database.read(1)
    assert sum(map(len, traces)) == 100


async def test_calls_that_raise_and_calls_that_end_after_the_block(memory):
    database = Database(memory, held=True)
    with memory.traced() as trace:
        late = asyncio.create_task(database.read(1))
        await database.gate.reached()
        database.error = LookupError()
        database.gate.open()
        with pytest.raises(LookupError):
            await database.read(2)
        with pytest.raises(LookupError):
            await late
        database.error = None
        database.gate.shut()
        later = asyncio.create_task(database.read(3))
        await database.gate.reached(3)
    database.gate.open()
    await later
    assert sorted(outcomes(trace)) == [("1", "miss"), ("2", "miss")]
    assert all(record.raised for record in trace)


async def test_an_observer_is_told_of_every_call_and_its_errors_harm_none(memory, caplog):
    database = Database(memory)
    seen: list[CallRecord] = []

    def breaks(record: CallRecord) -> None:
        raise RuntimeError(record.key)

    ends = [memory.observe(breaks), memory.observe(seen.append)]
    await database.read(1)
    await database.read(1)
    assert outcomes(seen) == [("1", "miss"), ("1", "hit")]
    assert "a recorder of calls failed on read" in caplog.text
    for end in (*ends, *ends):
        end()
    await database.read(1)
    assert len(seen) == 2
    assert memory.direct is True
    assert memory.events.asked is False


async def test_a_disabled_cache_and_arguments_that_no_key_takes():
    cache = null_cache()
    database = Database(cache)

    @cache.cached(key_prefix="things")
    async def describe(thing: object) -> str:
        return type(thing).__name__

    with cache.traced() as trace:
        await database.read(1)
        assert await describe(object()) == "object"
    assert outcomes(trace) == [("1", "bypassed")]


async def test_a_background_load_is_not_part_of_a_trace(memory, clock):
    database = Database(memory)

    @memory.cached(key_prefix="pages", ttl=60, stale_ttl=60)
    async def page(item: int) -> list[int]:
        return await database.read(item)

    await page(1)
    clock.advance(61)
    with memory.traced() as trace:
        await page(1)

        async def refreshed() -> bool:
            return memory.statistics_of(page)["loads"] == 2

        await aeventually(refreshed, within=30)
    assert [(record.function, record.outcome) for record in trace] == [("page", "stale")]


async def test_calls_of_another_cache_inside(memory):
    async with memory_cache() as other:
        elsewhere = Database(other)

        @memory.cached(key_prefix="pages")
        async def page(item: int) -> list[int]:
            return await elsewhere.read(item)

        asked = asyncio.Event()

        async def somebody_else() -> None:
            with other.traced():
                await asked.wait()

        task = asyncio.create_task(somebody_else())
        await asyncio.sleep(0)
        with memory.traced() as trace:
            await page(1)
        asked.set()
        await task
        assert [record.key for record in trace] == [page.key_for(1)]
        with memory.traced() as outer, other.traced() as inner:
            await page(2)
        assert [[record.function for record in one] for one in (outer, inner)] == [["page"], ["read"]]
