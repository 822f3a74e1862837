"""`@cached` on a plain ``def``: the entries and guarantees of an ``async def`` one, without an event loop."""

import asyncio
import gc
import threading
import traceback
from contextvars import ContextVar

import pytest

from langcache_cli.caching import CacheUnavailableError
from langcache_cli.caching._sync.background_loop import background_loop
from langcache_cli.caching._sync.handover import Handover
from tests.harness.polling import aeventually, eventually
from tests.integration.cache_support import Database, make_stale
from tests.integration.sync_support import SECONDS, SyncDatabase, sync_cache, threads

seen = ContextVar("seen", default=0)


@pytest.fixture
def cache(redis_url):
    with sync_cache(redis_url) as cache:
        yield cache


@pytest.fixture
def words(cache):
    return SyncDatabase(cache)


def test_a_hit_is_what_a_miss_was_and_the_function_runs_in_the_calling_thread(words):
    assert [words.read(1), words.read(1)] == [[1, 0], [1, 0]]
    assert words.threads == [threading.current_thread()]
    with threads(1) as pool:
        assert pool.submit(words.read, 2).result(SECONDS) == [2, 0]
    assert words.threads[1] is not threading.current_thread()
    assert words.cache.statistics_of(words.read.on_loop)["hits"] == 1


def test_context_variables_are_those_of_the_caller(cache):
    @cache.cached(key_prefix="vocabulary")
    def load() -> int:
        seen.set(seen.get() + 1)
        return seen.get()

    token = seen.set(41)
    assert (load(), seen.get()) == (42, 42)
    seen.reset(token)


def test_it_shares_its_entries_with_an_asynchronous_function(redis_url):
    with sync_cache(redis_url) as one, sync_cache(redis_url) as other:

        @one.cached(key_prefix="vocabulary", tags=("word:{item}",))
        def read(item: int) -> int:
            return item

        async def twin(item: int) -> int:
            return -item

        twin.__name__, twin.__qualname__ = read.__name__, read.__qualname__
        cached = other.cached(key_prefix="vocabulary", tags=("word:{item}",))(twin)
        assert cached.key_for(1) == read.key_for(1)
        assert [read(1), cached.sync(1), cached.sync(2), read(2)] == [1, 1, -2, -2]
        other.sync.invalidate_tags("word:1")
        assert cached.sync.invalidate(2)
        assert [cached.sync(1), read(1), read(2)] == [-1, -1, 2]
        assert cached.sync.refresh(2) == read(2) == -2


def test_many_threads_load_once(words):
    words.gate.clear()
    with threads(8) as pool:
        calls = [pool.submit(words.read, 1) for _ in range(8)]
        assert words.begun.acquire(timeout=SECONDS)
        words.gate.set()
        assert [call.result(SECONDS) for call in calls] == [[1, 0]] * 8
    assert words.reads == 1


def test_threads_and_event_loops_load_once(cache):
    database = Database(cache, held=True)

    async def load():
        async with asyncio.TaskGroup() as group:
            here = group.create_task(database.read(1))
            await database.gate.reached()
            thread = group.create_task(asyncio.to_thread(database.read.sync, 1))
            await aeventually(lambda: waiting_on_the_background_loop(cache), within=SECONDS)
            database.gate.open()
        await cache.aclose()
        return here.result(), thread.result()

    assert asyncio.run(load()) == ([1, 0], [1, 0])
    assert database.reads[1] == 1


def waiting_on_the_background_loop(cache) -> bool:
    runtimes = [
        runtime for runtime in cache._context.runtimes._all if runtime.loop is background_loop.running
    ]
    return any(len(runtime.running_loads) for runtime in runtimes)


def test_an_invalidation_during_a_load_wins(words):
    words.gate.clear()
    with threads(1) as pool:
        call = pool.submit(words.read, 1)
        assert words.begun.acquire(timeout=SECONDS)
        words.versions[1] += 1
        assert words.cache.sync.invalidate_tags("word:1") == 1
        words.gate.set()
        assert call.result(SECONDS) == [1, 0]
    assert words.read(1) == [1, 1]


def test_an_error_of_the_function_is_raised_unchanged_and_not_stored(words):
    words.error = error = ValueError("no such word")
    with pytest.raises(ValueError, match="no such word") as raised:
        words.read(1)
    assert raised.value is error
    frames = [frame.name for frame in traceback.extract_tb(raised.tb)]
    assert frames[-1] == "read"
    assert "_whole" not in frames
    words.error = None
    assert words.read(1) == [1, 0]


@pytest.mark.parametrize("error", [StopIteration(7), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_whatever_the_function_raises_the_loop_goes_on_and_the_lease_is_free(words, error):
    words.error = error
    with pytest.raises(type(error)) as raised:
        words.read(1)
    assert raised.value is error
    words.error = None
    assert words.read(1) == [1, 0]
    assert words.read(1) == [1, 0]
    assert words.reads == 2


async def test_an_async_function_that_exits_does_not_end_the_loop(cache):
    @cache.cached(key_prefix="vocabulary")
    async def leave(item: int) -> int:
        if item:
            raise SystemExit(item)
        return item

    with pytest.raises(SystemExit):
        await asyncio.to_thread(leave.sync, 3)
    assert await asyncio.to_thread(leave.sync, 0) == 0


def test_waiting_threads_get_an_error_of_their_own(words):
    words.gate.clear()
    words.error = ValueError("no such word")
    with threads(4) as pool:
        calls = [pool.submit(words.read, 1) for _ in range(4)]
        assert words.begun.acquire(timeout=SECONDS)
        words.gate.set()
        errors = [call.exception(SECONDS) for call in calls]
    assert {str(error) for error in errors} == {"no such word"}


def test_a_miss_leaves_nothing_to_the_garbage_collector(words):
    def left() -> int:
        return sum(type(one) is Handover for one in gc.get_objects())

    words.read(0)
    gc.collect()
    gc.disable()
    before = left()
    try:
        for item in range(1, 20):
            words.read(item)
        eventually(lambda: left() - before <= 1)  # the tasks of the last ones may be about to end
    finally:
        gc.enable()


async def test_on_the_thread_of_an_event_loop_it_says_what_to_write(cache, words):
    read = Database(cache, prefix="user_stats").read
    with pytest.raises(
        RuntimeError, match=r"read\(\), a synchronous function, .* 'await asyncio.to_thread\(read"
    ):
        words.read(1)
    with pytest.raises(RuntimeError, match=r"read\.sync\(\) would block .* write 'await read\(\.\.\.\)'"):
        read.sync(1)
    with pytest.raises(RuntimeError, match=r"write 'await read\.invalidate\(\.\.\.\)'"):
        read.sync.invalidate(1)
    for call in (words.read.refresh, words.read.invalidate, cache.sync.invalidate_tags, cache.sync.get):
        with pytest.raises(RuntimeError, match="would block the event loop"):
            call(1)
    assert words.reads == 0
    assert await asyncio.to_thread(words.read, 1) == [1, 0]
    assert await words.read.on_loop(1) == [1, 0]
    await cache.aclose()
    await asyncio.to_thread(cache.sync.close)


def test_without_redis_the_function_runs_and_an_explicit_refresh_says_so(one_redis):
    with sync_cache("redis://127.0.0.1:1/0", operation_timeout=0.25) as cache:
        words = SyncDatabase(cache)
        assert [words.read(1) for _ in range(5)] == [[1, 0]] * 5
        assert words.threads == [threading.current_thread()] * 5
        with pytest.raises(CacheUnavailableError):
            words.read.refresh(1)
        assert cache.sync.get("user_stats:1", 7) == 7
        assert not cache.sync.stats()["reachable"]
        words.read.invalidate(1)
        assert cache.pending_invalidations == 1


def test_a_stale_value_is_served_to_all_but_the_one_call_that_loads(one_redis):
    with sync_cache(one_redis.url) as cache:
        words = SyncDatabase(cache, stale_ttl=600, ttl=600)
        assert words.read(1) == [1, 0]
        words.versions[1] += 1
        make_stale(one_redis, words.read.key_for(1))
        words.gate.clear()
        with threads(1) as pool:
            assert words.begun.acquire(timeout=SECONDS)
            loading = pool.submit(words.read, 1)
            assert words.begun.acquire(timeout=SECONDS)
            assert words.read(1) == [1, 0]
            words.gate.set()
            assert loading.result(SECONDS) == [1, 1]
        assert words.read(1) == [1, 1]
        assert words.reads == 2
