"""Threads that are in a call while their process ends: each gets an outcome, and none waits for ever."""

import asyncio
import threading

import pytest

from langcache_cli.caching import CacheUnavailableError
from langcache_cli.caching._sync import background_loop as module
from langcache_cli.caching._sync.background_loop import background_loop
from tests.harness.polling import eventually
from tests.integration.sync_support import SECONDS, SyncDatabase, sync_cache, threads
from tests.integration.test_fork import run
from tests.integration.test_sync_fork import MODULE
from tests.integration.test_sync_interrupted import waits_for_a_load


@pytest.fixture
def words(redis_url):
    with sync_cache(redis_url) as cache:
        yield SyncDatabase(cache)


@pytest.fixture
def without_patience(monkeypatch):
    monkeypatch.setattr(module, "CALLS_SECONDS", 0.0)


@pytest.mark.usefixtures("without_patience")
@pytest.mark.parametrize("error", [None, ValueError("no such word")])
def test_a_function_that_still_runs_runs_once_and_its_outcome_is_that_of_the_call(words, error):
    words.error = error
    words.gate.clear()
    with threads(1) as pool:
        reading = pool.submit(words.read, 1)
        assert words.begun.acquire(timeout=SECONDS)
        background_loop.end()
        words.gate.set()
        if error is None:
            assert reading.result(SECONDS) == [1, 0]
        else:
            assert reading.exception(SECONDS) is error
    assert words.reads == 1


@pytest.mark.usefixtures("without_patience")
def test_a_thread_that_waits_for_the_load_of_another_one_loads_after_its_lease(redis_url):
    with sync_cache(redis_url, lease_seconds=0.5) as cache, threads(2) as pool:
        words = SyncDatabase(cache)
        words.gate.clear()
        reading = pool.submit(words.read, 1)
        assert words.begun.acquire(timeout=SECONDS)
        waiting = pool.submit(words.read, 1)
        eventually(lambda: waits_for_a_load(cache), within=SECONDS)
        background_loop.end()
        assert words.begun.acquire(timeout=SECONDS)
        words.gate.set()
        assert [reading.result(SECONDS), waiting.result(SECONDS)] == [[1, 0], [1, 0]]
        assert words.reads == 2


@pytest.mark.usefixtures("without_patience")
def test_a_call_that_the_loop_has_not_begun_is_made_on_another_one(words, monkeypatch):
    words.read(1)
    loop, submitted = background_loop.loop(), threading.Event()
    real = loop.call_soon_threadsafe

    def lost(function, *args, **options):  # as between the last callback of a loop and its end
        if function.__name__ != "_start":
            return real(function, *args, **options)
        submitted.set()
        return None

    monkeypatch.setattr(loop, "call_soon_threadsafe", lost)
    with threads(1) as pool:
        reading = pool.submit(words.read, 1)
        assert submitted.wait(SECONDS)
        background_loop.end()
        assert reading.result(SECONDS) == [1, 0]
    assert background_loop.loop() is not loop
    assert words.reads == 1


def async_word(cache, seconds: float):
    begun = threading.Event()

    @cache.cached(key_prefix="vocabulary")
    async def word(item: int) -> int:
        begun.set()
        await asyncio.sleep(seconds)
        return item

    return word, begun


def test_a_coroutine_function_may_end(words):
    word, begun = async_word(words.cache, 0.1)
    with threads(1) as pool:
        reading = pool.submit(word.sync, 1)
        assert begun.wait(SECONDS)
        background_loop.end()
        assert reading.result(SECONDS) == 1


@pytest.mark.usefixtures("without_patience")
def test_one_that_takes_too_long_is_not_run_twice(words):
    word, begun = async_word(words.cache, 2 * SECONDS)
    with threads(1) as pool:
        reading = pool.submit(word.sync, 1)
        assert begun.wait(SECONDS)
        background_loop.end()
        assert isinstance(reading.exception(SECONDS), CacheUnavailableError)


def test_hits_are_counted_without_an_error_after_the_end(words):
    for _ in range(20):
        assert words.read(1) == [1, 0]
    hits = words.read.cache.thread_reads(words.read.spec)._hits
    background_loop.end()
    hits._is_told = False
    hits._events.asked = True
    hits._skip = 0
    hits.count("key", 1, 0.1)
    assert words.read(1) == [1, 0]


IN_CALLS = """
import asyncio
begun = threading.Semaphore(0)

@cached(key_prefix="vocabulary")
def slow(item: int) -> int:
    begun.release()
    time.sleep(0.5)
    return item

@cached(key_prefix="vocabulary")
async def slow_too(item: int) -> int:
    begun.release()
    await asyncio.sleep(0.5)
    return item

def work(call):
    os.write(1, b"got %d %d\\n" % (call(7), word(1)))  # in one piece, whatever other threads write

def in_child():
    for call in (slow, slow, slow_too.sync):
        threading.Thread(target=work, args=(call,)).start()
    begun.acquire(), begun.acquire()

if __name__ == "__main__":
    process = multiprocessing.get_context("fork").Process(target=in_child)
    process.start()
    process.join(20)
    print("exit code", process.exitcode)
    process.kill()
"""


def test_a_process_of_multiprocessing_ends_once_its_threads_have_their_values(redis_url, tmp_path):
    done = run(tmp_path, redis_url, MODULE + IN_CALLS)
    assert done.stderr == ""
    assert done.stdout == "got 7 1\n" * 3 + "exit code 0\n"
