"""The URL of a cluster is refused where the cache would send it commands, and nowhere else."""

import pytest

from langcache_cli.caching import Cache, CacheSettings, ConfigurationError
from langcache_cli.caching.testing import Faults, memory_cache, null_cache

URL = "redis+cluster://:hunter2@h1,h2:7001"


def test_a_cache_in_a_cluster_is_refused_with_one_sentence():
    with pytest.raises(ConfigurationError, match="REDIS_URL names a cluster") as caught:
        Cache(CacheSettings.load(env_file=None, redis_url=URL))
    assert caught.value.variable == "REDIS_URL"
    assert "redis+cluster://***@h1:6379,h2:7001/0" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


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
