"""A call inside its own load runs the function: a load never waits for itself, directly or through others."""

import asyncio
from collections.abc import Sequence

import pytest

from langcache_cli.caching import Cache, cached_many
from langcache_cli.caching.tooling import warm
from tests.integration.cache_support import Gate, python

SECONDS = 15
"""Less than LOAD_TIMEOUT: a load that waits for itself does not make it."""

OPTIONS = [{}, {"tags": ("t",)}, {"stale_ttl": 60}, {"local_ttl": 60}]


def recursive(cache: Cache, **options):
    """A function that calls itself until it has been called three times."""
    runs: list[int] = []

    @cache.cached(key_prefix="vocabulary", **options)
    async def countdown(item: int) -> int:
        runs.append(item)
        return item if len(runs) % 3 == 0 else await countdown(item)

    return countdown, runs


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("refresh", [False, True], ids=["call", "refresh"])
async def test_a_recursive_function_is_run_by_its_inner_calls_and_stored_once(cache, options, refresh):
    countdown, runs = recursive(cache, **options)
    async with asyncio.timeout(SECONDS):
        assert await (countdown.refresh(1) if refresh else countdown(1)) == 1
        assert runs == [1, 1, 1]
        assert await countdown(1) == 1
        assert runs == [1, 1, 1]
        assert (
            await countdown.refresh(1) == 1
        )  # over an entry, which an inner call must not take for its value
    assert runs == [1] * 6


async def test_a_batch_may_call_the_function_for_one_item(cache):
    @cache.cached(key_prefix="translation")
    async def one(text: str) -> str:
        return text.upper()

    @cached_many(one, each="texts")
    async def many(texts: Sequence[str]) -> list[str]:
        return [await one(text) for text in texts]

    @cached_many(one, each="texts")
    async def batch_of_batches(texts: Sequence[str]) -> list[str]:
        return await many(texts)

    async with asyncio.timeout(SECONDS):
        assert await many(["a", "b"]) == ["A", "B"]
        assert await batch_of_batches(["a", "c", "d"]) == ["A", "C", "D"]


@pytest.mark.parametrize("missing_only", [True, False])
async def test_a_warm_may_call_the_function_it_warms(cache, missing_only):
    version = 0

    @cache.cached(key_prefix="translation")
    async def read(item: int) -> list[int]:
        return [item, version]

    async def load(calls):
        return [await read(**call) for call in calls]

    async with asyncio.timeout(SECONDS):
        await warm(cache, read, [{"item": 1}, {"item": 2}], load, missing_only=missing_only)
        version = 1
        await warm(cache, read, [{"item": 1}, {"item": 3}], load, missing_only=missing_only)
    assert await read(1) == [1, 0 if missing_only else 1]
    assert await read(3) == [3, 1]


async def test_two_functions_that_call_each_other_do_not_wait_for_each_other(cache):
    runs: list[str] = []

    @cache.cached(key_prefix="vocabulary")
    async def ping(item: int) -> int:
        runs.append("ping")
        return item if len(runs) > 2 else await pong(item)

    @cache.cached(key_prefix="vocabulary")
    async def pong(item: int) -> int:
        runs.append("pong")
        return await ping(item)

    async with asyncio.timeout(SECONDS):
        assert await ping(1) == 1
    assert runs == ["ping", "pong", "ping"]


@pytest.mark.parametrize("spread", [False, True], ids=["await", "tasks"])
async def test_two_loads_that_began_apart_do_not_wait_for_each_other(cache, spread):
    """One caller loads a, another loads b; then a asks for b, and b for a. A third only asks for a."""
    gate, depth = Gate(), 0

    async def both(name: str, other: str) -> str:
        nonlocal depth
        depth += 1
        if depth <= 2:
            await gate()
        if depth > 3:
            return name
        inner = functions[other]()
        return name + (await asyncio.create_task(inner) if spread else await inner)

    @cache.cached(key_prefix="vocabulary")
    async def a() -> str:
        return await both("a", "b")

    @cache.cached(key_prefix="vocabulary")
    async def b() -> str:
        return await both("b", "a")

    functions = {"a": a, "b": b}
    first, second = asyncio.create_task(a()), asyncio.create_task(b())
    await gate.reached(2)
    innocent = asyncio.create_task(a())
    gate.open()
    async with asyncio.timeout(SECONDS):
        values = await asyncio.gather(first, second, innocent)
    assert [value[:2] for value in values] == ["ab", "ba", "ab"]


async def test_a_caller_that_left_does_not_leave_a_load_that_waits_for_itself(cache):
    gate = Gate()
    runs = 0

    @cache.cached(key_prefix="vocabulary")
    async def nested(item: int) -> int:
        nonlocal runs
        runs += 1
        if runs == 2:
            await gate()
        return item if runs > 1 else await nested(item)

    call = asyncio.create_task(nested(1))
    await gate.reached()
    call.cancel()
    await asyncio.wait([call])
    async with asyncio.timeout(SECONDS):
        assert await nested(1) == 1


def test_loads_of_two_processes_do_not_wait_for_each_other(redis_url):
    workers = {
        name: python("-m", "tests.integration.circle_worker", redis_url, name) for name in ("first", "second")
    }
    try:
        for word in ("ready", "inside"):
            for worker in workers.values():
                assert worker.stdout.readline() == f"{word}\n", worker.stderr.read()
            for worker in workers.values():
                worker.stdin.write("go\n")
                worker.stdin.flush()
        answers = [worker.stdout.readline().split() for worker in workers.values()]
    finally:
        for worker in workers.values():
            worker.kill()
            worker.communicate()
    assert [answer[0] for answer in answers] == ["first", "second"]
    assert max(float(answer[-1]) for answer in answers) < SECONDS
