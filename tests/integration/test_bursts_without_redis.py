"""A burst of calls that cannot use Redis begins few runs of functions in each turn of the event loop.

Otherwise the loop would be held for as long as all of them take, and the leases of other loads would end.
"""

import asyncio
from collections import Counter

import pytest

from langcache_cli.caching import CacheUnavailableError, cached_many
from langcache_cli.caching._wire.breaker import LAST_PROBE_SECONDS
from tests.harness.polling import aeventually
from tests.integration.cache_support import Gate
from tests.integration.turns import MOST_IN_A_TURN, Turns

SIZE = 3000


class Runs:
    """Functions that count how often they are run for each item, and how many runs begin in a turn."""

    def __init__(self, cache, **options) -> None:
        self.of_item: Counter[int] = Counter()
        self.begun = Turns()

        @cache.cached(key_prefix="vocabulary", **options)
        async def read(item: int) -> int:
            return self._run(item)

        @cached_many(read, each="items")
        async def read_many(items: list[int]) -> dict[int, int]:
            return {item: self._run(item) for item in items}

        self.read, self.read_many = read, read_many

    def _run(self, item: int) -> int:
        self.begun.count()
        self.of_item[item] += 1
        return item


def losing_redis(gate):
    """A step of a load that fails when the gate opens."""

    async def lost(*_, **__):
        await gate()
        raise CacheUnavailableError("lost", target="Redis")

    return lost


def kill(server) -> None:
    server.kill()


def pause(server) -> None:
    server.pause()


FAULTS = pytest.mark.parametrize("fault", [kill, pause])


@FAULTS
async def test_a_burst_runs_its_functions_over_many_turns(open_cache, own_redis, fault):
    server, items = own_redis(), range(SIZE)
    cache = open_cache(server.url, operation_timeout=0.25)
    runs = Runs(cache)
    await runs.read(-1)
    fault(server)
    for _ in range(2):  # while Redis is found to be lost, and when that is known
        runs.of_item.clear()
        assert await asyncio.gather(*map(runs.read, items)) == list(items)
        assert runs.of_item == dict.fromkeys(items, 1)
        assert cache.runtime().server.node.breaker.open
    assert runs.begun.most <= MOST_IN_A_TURN


@FAULTS
async def test_a_burst_of_calls_for_many_items_does_so_too(open_cache, own_redis, fault):
    server, items = own_redis(), range(SIZE // 3)
    cache = open_cache(server.url, operation_timeout=0.25)
    runs = Runs(cache)
    await runs.read(-1)
    fault(server)
    for _ in range(2):
        runs.of_item.clear()
        values = await asyncio.gather(*(runs.read_many([item]) for item in items))
        assert values == [[item] for item in items]
        assert runs.of_item == dict.fromkeys(items, 1)
    assert runs.begun.most <= MOST_IN_A_TURN


async def test_a_burst_while_an_invalidation_is_unconfirmed_does_so_too(open_cache, own_redis):
    server, items = own_redis(), range(SIZE)
    cache = open_cache(server.url, operation_timeout=0.25)
    runs = Runs(cache)
    await runs.read(-1)
    server.pause()
    await runs.read.invalidate(-1)
    assert await asyncio.gather(*map(runs.read, items)) == list(items)
    assert runs.of_item == dict.fromkeys([-1, *items], 1)
    assert runs.begun.most <= MOST_IN_A_TURN


async def test_loads_that_lose_redis_together_go_on_over_many_turns(open_cache, monkeypatch):
    cache = open_cache()
    runs, gate, items = Runs(cache), Gate(), range(SIZE)
    monkeypatch.setattr(cache.runtime().store, "acquire", losing_redis(gate))
    calls = [asyncio.create_task(runs.read(item)) for item in items]
    await gate.reached(SIZE)
    gate.open()
    assert await asyncio.gather(*calls) == list(items)
    assert runs.begun.most <= MOST_IN_A_TURN


async def test_loads_of_many_items_that_lose_redis_together_do_so_too(open_cache, monkeypatch):
    cache = open_cache()
    runs, gate, items = Runs(cache), Gate(), range(SIZE // 3)
    monkeypatch.setattr(cache.runtime().store, "acquire", losing_redis(gate))
    calls = [asyncio.create_task(runs.read_many([item])) for item in items]
    await gate.reached(len(items))
    gate.open()
    assert await asyncio.gather(*calls) == [[item] for item in items]
    assert runs.begun.most <= MOST_IN_A_TURN


async def test_a_call_that_comes_during_such_a_burst_does_not_wait_for_its_end(open_cache, own_redis):
    server = own_redis()
    runs = Runs(open_cache(server.url, operation_timeout=0.25))
    server.kill()
    for item in range(4):  # until Redis is known to be lost
        await runs.read(-item)
    burst = [asyncio.create_task(runs.read(item)) for item in range(SIZE)]
    await asyncio.sleep(0)
    assert await asyncio.create_task(runs.read(-10)) == -10
    assert sum(call.done() for call in burst) < SIZE / 2
    await asyncio.gather(*burst)


async def test_redis_is_found_to_be_back_while_calls_that_never_suspend_go_on(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url, operation_timeout=0.25)
    runs = Runs(cache)
    server.kill()
    for item in range(4):
        await runs.read(-item)
    server.start()

    async def hit() -> bool:
        for item in range(100):
            await runs.read(item)
        return not cache.runtime().server.node.breaker.open

    await aeventually(hit, within=LAST_PROBE_SECONDS + 10)


async def test_a_burst_of_plain_reads_and_writes_goes_on_over_many_turns(open_cache, own_redis):
    server = own_redis()
    cache, ended = open_cache(server.url, operation_timeout=0.25), Turns()
    server.kill()
    for _ in range(4):
        await cache.get("a")

    async def read(item: int) -> None:
        assert await cache.get(f"a:{item}") is None
        ended.count()

    async def write(item: int) -> None:
        assert not await cache.set(f"a:{item}", item)
        ended.count()

    await asyncio.gather(*map(read, range(SIZE)), *map(write, range(SIZE)))
    assert ended.most <= MOST_IN_A_TURN
