"""Jobs and tests with an event loop of their own: with the cache and without, the answers are the same."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from langcache_cli.caching import Cache, cached_many
from tests.integration.cache_support import ROOT, cache_at


class Jobs:
    """Jobs of a scheduler: they show words, change one, or fail."""

    def __init__(self, cache: Cache) -> None:
        self.words = {number: f"word {number}" for number in range(5)}

        @cache.cached(key_prefix="vocabulary", tags=("words",))
        async def word(number: int) -> str:
            return self.words[number]

        @cached_many(word, each="numbers")
        async def all_words(numbers: Sequence[int]) -> list[str]:
            return [self.words[number] for number in numbers]

        self.word, self.all_words = word, all_words
        self.ways = {
            "key": word.invalidate,
            "tag": lambda _: cache.invalidate_tags("words"),
            "pattern": lambda _: cache.invalidate("cache:vocabulary:*"),
            "refresh": word.refresh,
        }

    async def show(self, numbers: Sequence[int]) -> list[str]:
        return [await self.word(number) for number in numbers] + await self.all_words(list(numbers))

    async def change(self, number: int, how: str) -> None:
        self.words[number] += f", changed by {how}"
        await self.ways[how](number)

    async def fail(self, number: int) -> None:
        await self.word(number)
        raise LookupError(f"job {number} failed")

    def run(self) -> list[Any]:
        """What an `asyncio.run` for each job returns and raises."""
        log: list[Any] = []
        for number, how in enumerate(("key", "tag", "pattern", "refresh", "key")):
            log.append(asyncio.run(self.show(range(5))))
            asyncio.run(self.change(number, how))
            log.append(asyncio.run(self.show([number, number])))
            with pytest.raises(LookupError) as raised:
                asyncio.run(self.fail(number))
            log.append(str(raised.value))
        return log


def test_a_job_runner_with_an_event_loop_for_each_job(redis_url: str) -> None:
    cache = cache_at(redis_url)
    assert Jobs(cache).run() == Jobs(cache_at(redis_url, redis_enabled=False)).run()
    assert asyncio.run(cache.stats())["hits"] > 0


SUITE = """
import pytest
from langcache_cli.caching import cached, close_redis_client, get_cache_stats, invalidate_tags

words = {1: "one", 2: "two"}
runs = []

@cached(key_prefix="vocabulary", tags=("word:{number}",))
async def word(number: int) -> str:
    runs.append(number)
    return words[number]

class Service:
    @cached(key_prefix="user_stats")
    async def length(self, number: int) -> int:
        return len(words[number])

    async def change(self, number: int, text: str) -> None:
        words[number] = text
        await invalidate_tags(f"word:{number}")
        await self.length.invalidate(number)

@pytest.mark.parametrize("text", ["eins", "een", "ichi", "uno"])
async def test_a_change_shows(text):
    assert await word(1) == words[1]
    await Service().change(1, text)
    assert await word(1) == await word(1) == text
    assert await Service().length(1) == len(text)

@pytest.mark.parametrize("again", range(3))
async def test_what_no_test_changes_stays(again):
    assert await word(2) == "two"
    assert await Service().length(2) == 3

def test_a_test_without_a_loop():
    assert word.key_for(1)

async def test_a_fixture_may_close_the_cache():
    assert await word(2) == "two"
    await close_redis_client()
    assert await word(2) == "two"

async def test_an_error_is_an_error():
    with pytest.raises(KeyError):
        await word(3)

async def test_the_cache_was_used():
    stats = await get_cache_stats()
    assert stats["enabled"] == (len(runs) < 12), runs
"""


def test_a_test_suite_with_an_event_loop_for_each_test(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "test_words.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )

    def outcome(enabled: str) -> list[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": redis_url,
            "REDIS_ENABLED": enabled,
        }
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-v",
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
            "-W",
            "error",
        ]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        lines = [line.split("[ ")[0].rsplit(" ", 3)[0] for line in done.stdout.splitlines() if "::" in line]
        assert done.returncode == 0, done.stdout + done.stderr
        return lines

    assert outcome("true") == outcome("false")
