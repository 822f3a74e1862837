"""Blocks and functions that write, in threads without an event loop."""

import threading

import pytest

from tests.integration.sync_support import SECONDS, SyncDatabase, sync_cache, threads


@pytest.fixture
def words(redis_url):
    with sync_cache(redis_url) as cache:
        words = SyncDatabase(cache)
        for _ in range(20):  # so that this thread finds its hits by itself
            words.read(1)
        yield words


def test_bypassed_calls_neither_read_nor_store(words):
    words.versions[1] = 1
    with words.cache.bypassed():
        assert words.read(1) == [1, 1]
        with threads(1) as pool:
            assert pool.submit(words.read, 1).result(SECONDS) == [1, 0]
    assert words.read(1) == [1, 0]


def test_refreshing_calls_load_and_replace(words):
    words.versions[1] = 1
    with words.cache.refreshing():
        assert words.read(1) == [1, 1]
    assert words.read(1) == [1, 1]
    assert words.threads == [threading.current_thread()] * 2


def test_a_refreshing_call_may_call_itself(words):
    @words.cache.cached(key_prefix="episodes", ignore=("depth",))
    def read(item: int, depth: int) -> int:
        return read(item, depth - 1) + 1 if depth else item

    with words.cache.refreshing():
        assert read(7, 3) == 10
    assert read(7, 0) == 10


def test_a_trace_has_the_calls_of_its_thread(words):
    with words.cache.traced() as trace:
        words.read(1)
        words.read(2)
        with threads(1) as pool:
            pool.submit(words.read, 3).result(SECONDS)
    assert [(call.key, call.outcome) for call in trace] == [
        (words.read.key_for(1), "hit"),
        (words.read.key_for(2), "miss"),
    ]
    assert words.read(2) == [2, 0]


def test_a_function_that_writes_invalidates_a_synchronous_one(words):
    @words.cache.invalidates(words.read)
    def write(item: int) -> None:
        words.versions[item] += 1

    @words.cache.invalidates(words.read.where(item="{number}"))
    def write_number(number: int) -> None:
        words.versions[number] += 1

    write(1)
    assert words.read(1) == [1, 1]
    write_number(number=1)
    assert words.read(1) == [1, 2]
