"""Caches that use no Redis accept the URL of a cluster."""

import pytest

from langcache_cli.caching.testing import Faults, memory_cache, null_cache

URL = "redis+cluster://:hunter2@h1,h2:7001"


@pytest.mark.parametrize("faults", [None, Faults()])
async def test_a_cache_in_memory_works_with_any_url(monkeypatch, faults):
    monkeypatch.setenv("REDIS_URL", URL)
    async with memory_cache(faults=faults) as cache:
        runs = []

        @cache.cached(key_prefix="vocabulary")
        async def twice(number: int) -> int:
            runs.append(number)
            return 2 * number

        assert [await twice(4), await twice(4)] == [8, 8]
        assert runs == [4]


async def test_a_disabled_cache_works_with_any_url(monkeypatch):
    monkeypatch.setenv("REDIS_URL", URL)
    async with null_cache() as cache:

        @cache.cached(key_prefix="vocabulary")
        async def twice(number: int) -> int:
            return 2 * number

        assert await twice(4) == 8
