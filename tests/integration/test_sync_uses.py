"""Where synchronous cached functions are used: methods, batches, warming, routes, caches of other kinds."""

import asyncio
import threading

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from langcache_cli.caching import CachedSyncFunction, cached_many
from langcache_cli.caching.testing import memory_cache, null_cache
from langcache_cli.caching.tooling import warm
from tests.integration.sync_support import SyncDatabase, sync_cache


@pytest.fixture
def cache(redis_url):
    with sync_cache(redis_url) as cache:
        yield cache


@pytest.fixture
def words(cache):
    return SyncDatabase(cache)


def test_methods_of_all_kinds(cache):
    class Service:
        language = "de"

        @cache.cached(key_prefix="vocabulary", key="{self.language}:{item}")
        def of_instance(self, item: int) -> str:
            return f"{self.language}{item}"

        @cache.cached(key_prefix="vocabulary")
        @classmethod
        def of_class(cls, item: int) -> str:
            return f"{cls.__name__}{item}"

        @staticmethod
        @cache.cached(key_prefix="vocabulary")
        def static(item: int) -> int:
            return item

    class French(Service):
        language = "fr"

    for _ in range(2):
        assert [Service().of_instance(1), Service.of_instance(French(), 1)] == ["de1", "fr1"]
        assert [Service.of_class(1), French.of_class(1), French().of_class(1)] == [
            "Service1",
            "French1",
            "French1",
        ]
        assert [Service.static(1), French().static(1)] == [1, 1]
    assert Service().of_instance.uncached(2) == "de2"
    service = French()
    assert service.of_instance == service.of_instance
    assert service.of_instance.refresh(1) == "fr1"
    assert service.of_instance.invalidate(item=1)
    assert not French().of_instance.invalidate(1)
    assert isinstance(Service.of_class, CachedSyncFunction)


def test_batches_are_for_asynchronous_functions(words):
    with pytest.raises(TypeError, match=r"takes an 'async def' function with @cached, not <cached .*read>"):
        cached_many(words.read, each="items")


def test_a_warmer_loads_it_in_threads(words):
    @words.read.warmer
    async def some():
        yield [{"item": item} for item in range(3)]

    async def warmed() -> int:
        (warmer,) = words.cache.registry.warmers()
        async with words.cache:
            counts = [await warm(words.cache, warmer.function, calls, warmer.load) async for calls in some()]
            return sum(count.written for count in counts)

    assert asyncio.run(warmed()) == 3
    assert [words.read(item) for item in range(3)] == [[0, 0], [1, 0], [2, 0]]
    assert words.reads == 3


def test_nested_calls_and_recursion(cache):
    @cache.cached(key_prefix="vocabulary")
    def factorial(item: int) -> int:
        return item * factorial(item - 1) if item else 1

    @cache.cached(key_prefix="vocabulary")
    def same(item: int, *, depth: int = 0) -> int:
        return item

    @cache.cached(key_prefix="vocabulary", ignore=("depth",))
    def inside_itself(item: int, depth: int) -> int:
        return inside_itself(item, depth - 1) + 1 if depth else same(item)

    assert factorial(5) == 120
    assert inside_itself(7, 3) == 10
    assert factorial(3) == 6


def test_a_disabled_cache_runs_the_function():
    words = SyncDatabase(null_cache())
    assert [words.read(1), words.read(1), words.read.refresh(1)] == [[1, 0]] * 3
    assert words.threads == [threading.current_thread()] * 3
    assert not words.read.invalidate(1)


def test_a_cache_in_memory_works_too():
    cache = memory_cache()
    words = SyncDatabase(cache)
    assert [words.read(1), words.read(1)] == [[1, 0], [1, 0]]
    assert words.reads == 1
    cache.sync.close()


async def test_as_a_route_of_fastapi_it_runs_in_a_thread(cache):
    app = FastAPI()
    names = []

    @app.get("/words/{item}")
    @cache.cached(key_prefix="vocabulary")
    def read(item: int, language: str = "de") -> list[int | str]:
        names.append(threading.current_thread() is threading.main_thread())
        return [item, language]

    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        for _ in range(2):
            assert (await client.get("/words/7?language=fr")).json() == [7, "fr"]
    assert names == [False]
    await asyncio.to_thread(cache.sync.close)


def test_plain_values(cache):
    assert cache.sync.set("user_stats:1", [1], ttl=60)
    assert cache.sync.set_many({"user_stats:2": 2})
    assert cache.sync.get("user_stats:1") == [1]
    assert cache.sync.get_many(["user_stats:2"]) == {"user_stats:2": 2}
    assert cache.sync.delete("user_stats:1") == 1
    assert cache.sync.invalidate("cache:user_stats:*") == 1
    assert cache.sync.invalidate_type("progress") == 0
    assert cache.sync.invalidate_keys(["cache:user_stats:1"]) == 0
    assert cache.sync.stats()["reachable"]
