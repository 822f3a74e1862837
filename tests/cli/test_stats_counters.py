"""``langcache stats``: what was removed, and what Redis has lost of the counters."""

import asyncio
import re
from typing import Any

import pytest

from langcache_cli.caching import CacheSettings
from langcache_cli.operations.opening import open_cache
from langcache_cli.operations.overview.removing import remove_entry, remove_type
from tests.cli.cli_support import url_of
from tests.cli.test_stats import BACKEND

TAGGED = """
import asyncio
from langcache_cli.caching import Cache, CacheSettings

async def use(url):
    async with Cache(CacheSettings.load(env_file=None, redis_url=url)) as cache:
        @cache.cached(key_prefix="vocabulary", tags=("word:{number}", "user:{number}", "words"))
        async def word(number: int) -> int:
            return number
        for number in range(30):
            await word(number)
            await cache.invalidate_tags(f"word:{number}", f"user:{number}", "words")
        for number in range(4):
            await word(number)
        await cache.invalidate("cache:vocabulary:*")
"""


def test_removals_of_all_kinds_are_counted_and_shown(secured_redis, call):
    env = {"REDIS_URL": url_of(secured_redis), "LANGCACHE_ENV": "dev"}
    names: dict[str, Any] = {}
    exec(TAGGED, names)
    asyncio.run(names["use"](url_of(secured_redis)))
    by_pattern = call("stats", "--json", env=env).document["removed"]
    assert by_pattern == {"cleared_keys": 30, "invalidated_tags": 90}
    for options in (("--type", "vocabulary"), ("--all",), ("--key", "cache:vocabulary:1")):
        secured_redis.command("SET", "cache:vocabulary:1", "v")
        assert call("clear", *options, env=env).code == 0
    secured_redis.command("SET", "cache@tag:u", "v")
    assert call("clear", "--tag", "u", env=env).code == 0
    assert call("stats", "--json", env=env).document["removed"] == {
        "cleared_keys": 33,
        "invalidated_tags": 91,
    }
    shown = call("stats", env=env).stdout
    rows = {line.split("  ")[0]: re.split(r" {2,}", line)[-1] for line in shown.splitlines()}
    assert rows["cleared keys"] == "33"
    assert rows["invalidated tags"] == "91"
    metrics = call("stats", "--format", "prom", env=env).stdout
    assert 'langcache_window_cleared_keys{namespace="cache"} 33' in metrics


@pytest.mark.parametrize("window", ["1h", "24h", "7d"])
def test_counters_that_redis_has_evicted_are_missed(window, secured_redis, call):
    env = {"REDIS_URL": url_of(secured_redis)}
    names: dict[str, Any] = {}
    exec(BACKEND, names)
    asyncio.run(names["use"](url_of(secured_redis)))
    whole = call("stats", "--json", "--window", window, env=env).document
    assert whole["lost"] == {"minutes": 0, "calls": 0}
    kind = {"1h": "1m", "24h": "5m", "7d": "1h"}[window]
    for key in secured_redis.command("KEYS", f"cache@stats:*:{kind}:*"):
        secured_redis.command("UNLINK", key)
    document = call("stats", "--json", "--window", window, env=env).document
    assert document["lost"]["calls"] == 21
    assert document["total"]["hits"] == 0
    shown = call("stats", "--window", window, env=env).stdout
    assert "are missing, most likely evicted: the numbers are too low, by 21 calls or more" in shown
    assert "are missing" in call("stats", "--window", window, "--format", "nagios", env=env).stdout


def test_what_the_dashboard_of_the_command_removes_is_counted_too(secured_redis, call):
    async def remove():
        settings = CacheSettings.load(env_file=None, redis_url=url_of(secured_redis))
        async with open_cache(settings) as cache:
            assert (await remove_type(cache, "vocabulary")).removed == 2
            assert (await remove_entry(cache, b"cache:quiz:f:1")).removed == 1

    for key in ("cache:vocabulary:f:1", "cache:vocabulary:f:2", "cache:quiz:f:1"):
        secured_redis.command("SET", key, "v")
    asyncio.run(remove())
    document = call("stats", "--json", env={"REDIS_URL": url_of(secured_redis)}).document
    assert document["removed"]["cleared_keys"] == 3
