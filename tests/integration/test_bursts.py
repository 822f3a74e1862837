"""A burst of calls in one turn of the event loop is answered over many turns, and everything is stored.

`LANGCACHE_TEST_BURST=100000` sets the size of the bursts.
"""

import asyncio
import os
from collections import Counter

import pytest

from langcache_cli.caching import cached_many
from langcache_cli.caching._deployment.server import LOOKUPS_AT_ONCE
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._wire.lookup_batch import CALLERS_PER_LOOKUP
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, leftover_tasks, make_stale, waiting
from tests.integration.turns import MOST_IN_A_TURN, Turns, counted

SIZE = int(os.environ.get("LANGCACHE_TEST_BURST", "1500"))


@pytest.fixture
def cache(open_cache):
    """Its leases outlive a machine that stands still."""
    return open_cache(lease_seconds=30.0)


@pytest.mark.parametrize(
    "options",
    [{}, {"tags": ("all", "item:{item}")}, {"stale_ttl": 60}],
    ids=["plain", "tagged", "with stale_ttl"],
)
async def test_a_burst_of_cold_keys_is_loaded_over_many_turns_and_stored(cache, monkeypatch, options):
    database = Database(cache, **options)
    store = cache.runtime().store
    first_step = "tag_versions" if "tags" in options else "acquire"
    begun, committed = (counted(monkeypatch, store, step) for step in (first_step, "commit"))
    items = range(SIZE)
    assert await asyncio.gather(*map(database.read, items)) == [[item, 0] for item in items]
    assert begun.most <= MOST_IN_A_TURN
    assert committed.most <= MOST_IN_A_TURN
    await asyncio.gather(*map(database.read, items))
    assert sum(database.reads.values()) == len(items)


async def test_a_burst_as_the_first_thing_of_a_process_is_stored(open_cache):
    database = Database(open_cache(lease_seconds=30.0))
    items = range(SIZE // 3)
    assert await asyncio.gather(*map(database.read, items)) == [[item, 0] for item in items]
    assert database.cache.statistics_of(database.read)["bypassed"] == 0
    await asyncio.gather(*map(database.read, items))
    assert sum(database.reads.values()) == len(items)


async def test_loads_that_end_together_are_stored_over_many_turns_while_their_leases_last(
    open_cache, monkeypatch
):
    # the garbage collector stops a process with 100,000 tasks for seconds, and no lease is renewed meanwhile
    database = Database(open_cache(lease_seconds=max(6.0, SIZE / 5000)), held=True)
    store, items = database.cache.runtime().store, range(SIZE)
    renewed = counted(monkeypatch, store, "renew")
    renewals = Counter()
    renew = store.renew

    def renewing(leases, budget=None):
        renewals["leases"] += len(leases)
        renewals["steps"] += 1
        return renew(leases, budget)

    monkeypatch.setattr(store, "renew", renewing)
    calls = [asyncio.create_task(database.read(item)) for item in items]
    await database.gate.reached(SIZE)
    await aeventually(lambda: renewals["leases"] > SIZE, within=30)
    assert renewals["steps"] < renewals["leases"] / 5  # together, not each for itself
    assert renewed.most == 1
    committed = counted(monkeypatch, store, "commit")
    database.gate.open()
    await asyncio.gather(*calls)
    assert committed.most <= MOST_IN_A_TURN
    await asyncio.gather(*map(database.read, items))
    assert sum(database.reads.values()) == SIZE


async def test_the_calls_that_wait_for_one_load_go_on_over_many_turns(cache):
    database, ended = Database(cache, held=True), Turns()

    async def call() -> list[int]:
        value = await database.read(1)
        ended.count()
        return value

    calls = [asyncio.create_task(call()) for _ in range(SIZE)]
    await aeventually(lambda: waiting(cache) == SIZE, within=30)
    database.gate.open()
    assert await asyncio.gather(*calls) == [[1, 0]] * SIZE
    assert ended.most <= MOST_IN_A_TURN
    assert database.reads == {1: 1}


@pytest.mark.parametrize("distinct", [1, SIZE], ids=["one key", "distinct keys"])
async def test_a_burst_of_hits_is_looked_up_in_portions(cache, distinct):
    database, ended = Database(cache), Turns()
    await database.read(0)
    await asyncio.gather(*map(database.read, range(distinct)))

    async def call(item: int) -> list[int]:
        value = await database.read(item)
        ended.count()
        return value

    items = [number % distinct for number in range(SIZE)]
    assert await asyncio.gather(*map(call, items)) == [[item, 0] for item in items]
    assert ended.most <= (LOOKUPS_AT_ONCE + 1) * CALLERS_PER_LOOKUP
    assert sum(database.reads.values()) == distinct


async def test_a_call_that_comes_during_a_burst_does_not_wait_for_its_end(cache):
    database = Database(cache)
    await database.read(-1)
    burst = [asyncio.create_task(database.read(item)) for item in range(SIZE)]
    await asyncio.sleep(0)
    for item in (-1, -2):  # there, and missing
        assert await database.read(item) == [item, 0]
    assert sum(call.done() for call in burst) < SIZE / 2
    await asyncio.gather(*burst)


async def test_cancelling_half_of_a_burst_leaves_nothing_and_the_rest_is_stored(cache, redis_server):
    database = Database(cache)
    await database.read(-1)
    calls = [asyncio.create_task(database.read(item)) for item in range(SIZE)]
    await aeventually(lambda: sum(call.done() for call in calls) > SIZE / 10, within=30)
    for call in calls[::2]:
        call.cancel()
    await asyncio.wait(calls)
    assert [call.result() for call in calls[1::2]] == [[item, 0] for item in range(1, SIZE, 2)]
    await aeventually(lambda: leftover_tasks() == [], within=30)
    runtime = cache.runtime()
    assert len(runtime.running_loads) == 0
    assert not runtime.admission._lines
    assert not runtime.server.look_ups._lines
    before = sum(database.reads.values())
    await asyncio.gather(*map(database.read, range(1, SIZE, 2)))
    assert sum(database.reads.values()) == before
    values = await asyncio.gather(*map(database.read, range(0, SIZE, 2)))
    assert values == [[item, 0] for item in range(0, SIZE, 2)]


async def test_a_burst_of_calls_of_few_keys_runs_the_function_once_for_each(cache):
    database = Database(cache)
    items = [number % (SIZE // 10) for number in range(SIZE)]
    assert await asyncio.gather(*map(database.read, items)) == [[item, 0] for item in items]
    assert set(database.reads.values()) == {1}


@pytest.mark.parametrize("options", [{"stale_ttl": 600}, {"early_refresh": 1}], ids=["stale", "early"])
async def test_a_burst_of_entries_that_are_due_is_refreshed_over_many_turns(
    cache, redis_server, monkeypatch, options
):
    database = Database(cache, **options)
    items = range(SIZE // 3)
    await asyncio.gather(*map(database.read, items))
    for item in items:
        database.versions[item] = 1
        if "stale_ttl" in options:
            make_stale(redis_server, database.read.key_for(item))
    elected, committed = (counted(monkeypatch, cache.runtime().store, step) for step in ("elect", "commit"))
    with monkeypatch.context() as early:
        if "early_refresh" in options:
            early.setattr(Lifetime, "draw_refresh", lambda *_: True)
        assert await asyncio.gather(*map(database.read, items)) == [[item, 0] for item in items]
    await aeventually(lambda: sum(database.reads.values()) == 2 * len(items), within=30)
    await aeventually(lambda: leftover_tasks() == [], within=30)
    assert elected.most <= MOST_IN_A_TURN
    assert committed.most <= MOST_IN_A_TURN
    assert await asyncio.gather(*map(database.read, items)) == [[item, 1] for item in items]
    assert sum(database.reads.values()) == 2 * len(items)


@pytest.mark.parametrize("options", [{}, {"tags": ("all", "item:{item}")}], ids=["plain", "tagged"])
@pytest.mark.parametrize("is_there", [False, True], ids=["absent", "there"])
async def test_a_burst_of_refreshes_is_spread_over_many_turns_and_stored(
    cache, monkeypatch, options, is_there
):
    database, items = Database(cache, **options), range(SIZE)
    if is_there:
        await asyncio.gather(*map(database.read, items))
        database.versions.update(items)
    store, version = cache.runtime().store, int(is_there)
    first_step = "tag_versions" if options else "claim"
    begun, committed = (counted(monkeypatch, store, step) for step in (first_step, "commit"))
    refreshed = await asyncio.gather(*map(database.read.refresh, items))
    assert refreshed == [[item, version] for item in items]
    assert begun.most <= MOST_IN_A_TURN
    assert committed.most <= MOST_IN_A_TURN
    runs = sum(database.reads.values())
    assert runs == (1 + is_there) * SIZE
    assert await asyncio.gather(*map(database.read, items)) == refreshed
    assert sum(database.reads.values()) == runs


async def test_a_burst_of_refreshes_as_the_first_thing_of_a_process_is_stored(open_cache):
    database, items = Database(open_cache(lease_seconds=30.0)), range(SIZE // 3)
    await asyncio.gather(*map(database.read.refresh, items))
    await asyncio.gather(*map(database.read, items))
    assert set(database.reads.values()) == {1}


async def test_a_burst_of_calls_for_many_items_is_spread_over_many_turns(cache, monkeypatch):
    database, calls = Database(cache), range(SIZE // 3)

    @cached_many(database.read, each="items")
    async def read_many(items: list[int]) -> list[list[int]]:
        database.reads.update(items)
        return [[item, 0] for item in items]

    begun, committed = (counted(monkeypatch, cache.runtime().store, step) for step in ("acquire", "commit"))
    for _ in range(2):
        values = await asyncio.gather(*(read_many([call, -call - 1]) for call in calls))
        assert values == [[[call, 0], [-call - 1, 0]] for call in calls]
    assert begun.most <= MOST_IN_A_TURN
    assert committed.most <= MOST_IN_A_TURN
    assert set(database.reads.values()) == {1}


async def test_refreshes_of_a_key_that_wait_in_a_burst_share_one_run(cache):
    database, items = Database(cache), [number % (SIZE // 10) for number in range(SIZE)]
    await asyncio.gather(*map(database.read.refresh, items))
    assert database.reads == dict.fromkeys(items, 1)


async def test_a_refresh_that_is_cancelled_in_the_line_leaves_nothing(cache):
    database = Database(cache)
    await database.read(-1)
    calls = [asyncio.create_task(database.read.refresh(item)) for item in range(SIZE // 3)]
    await asyncio.sleep(0)
    for call in calls[1::2]:
        call.cancel()
    await asyncio.wait(calls)
    assert [call.result() for call in calls[::2]] == [[item, 0] for item in range(0, len(calls), 2)]
    assert len(cache.runtime().running_loads) == 0
    before = sum(database.reads.values())
    await asyncio.gather(*map(database.read, range(0, len(calls), 2)))
    assert sum(database.reads.values()) == before
