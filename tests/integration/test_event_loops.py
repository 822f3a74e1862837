"""One cache under one event loop after another, and several at once: nothing outlives its loop."""

import asyncio
import sys
import threading
from pathlib import Path

import pytest

from tests.harness.polling import eventually
from tests.harness.shared_redis import clients_of
from tests.integration.cache_support import Database, cache_at
from tests.integration.strict_python import complaints, run_python

MODULE = """
import asyncio, sys, threading
from langcache_cli.caching import *

runs = []

@cached(key_prefix="vocabulary")
async def word(item: int) -> int:
    runs.append(item)
    await asyncio.sleep(0)
    return item

@cached(key_prefix="episodes")
async def for_ever(item: int) -> int:
    await asyncio.Event().wait()
    return item

async def use(*, close=False):
    assert await asyncio.gather(*map(word, range(10))) == list(range(10))
    if close:
        await close_redis_client()
"""

PROGRAMS = {
    "several runs, each closed": """
for _ in range(5):
    asyncio.run(use(close=True))
assert len(runs) == 10
""",
    "several runs, never closed": """
for _ in range(5):
    asyncio.run(use())
assert len(runs) == 10
""",
    "used, closed, used again": """
async def main():
    for _ in range(3):
        await use(close=True)
    await use()
asyncio.run(main())
assert len(runs) == 10
""",
    "loops closed by hand": """
for _ in range(3):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(use(close=True))
    loop.close()
""",
    "calls under way at the end": """
async def main():
    tasks = [asyncio.create_task(for_ever(item)) for item in range(10)]
    while len(asyncio.all_tasks()) < 12:  # this one, the calls, and the renewal of their leases
        await asyncio.sleep(0)
asyncio.run(main())
asyncio.run(main())
""",
    "calls that have just begun at the end": """
for steps in range(12):
    async def main():
        tasks = [asyncio.create_task(word(steps * 100 + item)) for item in range(10)]
        for _ in range(steps):
            await asyncio.sleep(0)
    asyncio.run(main())
""",
    "a timeout right before the end": """
async def main():
    try:
        await asyncio.wait_for(for_ever(1), 0.05)
    except TimeoutError:
        return
    raise AssertionError
asyncio.run(main())
asyncio.run(main())
""",
    "redis-py clients": """
async def main():
    client = await get_redis_client()
    assert await client.ping() and client is await get_redis_client()
    await use()
asyncio.run(main())
asyncio.run(main())
""",
    "a loop in each of two threads": """
barrier = threading.Barrier(2)
async def main():
    barrier.wait()
    for _ in range(20):
        await use()
threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
""",
    "a failure inside": """
async def main():
    await use()
    raise LookupError("mine")
for _ in range(2):
    try:
        asyncio.run(main())
    except LookupError:
        continue
    raise AssertionError
""",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_python_has_nothing_to_complain_about(redis_url, redis_server, tmp_path, program):
    file = tmp_path / "program.py"
    file.write_text(MODULE + program)
    done = run_python(file, redis_url)
    assert (done.returncode, done.stdout, complaints(done.stderr)) == (0, "", [])
    eventually(lambda: clients_of(redis_server) == 0)


CLOSED_UNDER_LOAD = """
import gc, logging
logging.getLogger("langcache_cli.caching").disabled = True  # it has a line for such a loop
loop = asyncio.new_event_loop()
async def main():
    await use()
    calls = [asyncio.create_task(for_ever(item)) for item in range(100)]
    while get_default_cache().runtime().running_loads.started < 110:
        await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
loop.run_until_complete(main())
loop.close()
asyncio.run(use())  # drops the connections of the loop before
gc.collect()
"""


def test_a_loop_that_is_closed_by_hand_while_leases_are_given_back_prints_nothing(redis_url, tmp_path):
    file = tmp_path / "program.py"
    file.write_text(MODULE + CLOSED_UNDER_LOAD)
    done = run_python(file, redis_url)
    assert (done.returncode, complaints(done.stderr)) == (0, [])


def test_a_loop_that_was_closed_under_the_cache_is_told_to_the_log_and_costs_no_file(
    redis_url, redis_server, caplog
):
    cache = cache_at(redis_url)

    @cache.cached(key_prefix="vocabulary")
    async def word(item: int) -> int:
        return item

    files = open_files()
    for _ in range(3):
        loop = asyncio.new_event_loop()  # without the good order of asyncio.run at its end
        assert loop.run_until_complete(word(1)) == 1
        loop.close()
    assert (
        caplog.messages
        == ["an event loop ended without 'await cache.aclose()'; its connections were dropped"] * 2
    )
    caplog.clear()
    asyncio.run(word(1))
    assert open_files() <= files
    eventually(lambda: clients_of(redis_server) == 0)


@pytest.mark.parametrize("closing", [True, False], ids=["closed", "not closed"])
def test_fifty_loops_leak_no_file(redis_url, closing):
    cache = cache_at(redis_url)

    @cache.cached(key_prefix="vocabulary")
    async def word(item: int) -> int:
        return item

    async def use():
        assert await asyncio.gather(*map(word, range(5))) == list(range(5))
        await cache.stats()
        if closing:
            await cache.aclose()

    asyncio.run(use())
    before = open_files()
    for _ in range(50):
        asyncio.run(use())
    assert open_files() <= before
    assert len(cache._context.runtimes) == 0


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_cache_is_a_context_manager_and_works_again_after_it(redis_url, redis_server):
    async with cache_at(redis_url) as cache:
        database = Database(cache)
        assert await database.read(1) == [1, 0]
    eventually(lambda: clients_of(redis_server) == 0)
    assert await database.read(1) == [1, 0]
    assert database.reads == {1: 1}
    await cache.aclose()
    await cache.aclose()
    eventually(lambda: clients_of(redis_server) == 0)


async def test_closing_a_cache_that_was_never_used_connects_to_nothing(redis_url, redis_server):
    await cache_at(redis_url).aclose()
    assert clients_of(redis_server) == 0


async def test_closing_does_not_hang_on_a_server_that_does(own_redis):
    server = own_redis()
    cache = cache_at(server.url, operation_timeout=0.25)
    await Database(cache).read(1)
    server.pause()
    async with asyncio.timeout(20):
        await cache.aclose()


@pytest.fixture
def hasty_threads():
    """Threads take turns every few instructions, so that a race between them is met in no time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_a_thread_never_gets_the_connections_of_another_threads_loop(redis_url, hasty_threads):
    cache = cache_at(redis_url)
    wrong = []
    barrier = threading.Barrier(3)

    async def use():
        barrier.wait()
        for round_number in range(3000):
            if cache.runtime().loop is not asyncio.get_running_loop():
                wrong.append(round_number)
            if round_number % 500 == 499:
                await cache.aclose()
        await cache.aclose()

    def run():
        try:
            asyncio.run(use())
        except Exception as error:  # noqa: BLE001 - a thread would only print it
            wrong.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(cache._context.runtimes) == 0
