"""Blocks around synchronous calls, and synchronous functions that write."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from langcache_cli.caching import Cache


def in_thread(work: Callable[[], Any]) -> Any:
    return asyncio.to_thread(work)


@pytest.fixture
def words(cache: Cache) -> Any:
    """A synchronous cached function, and how often it has run."""

    @cache.cached(key_prefix="vocabulary", ttl=lambda word: "5m" if word else 0, max_bytes=20)
    def get_word(word_id: int, text: str = "Haus") -> str:
        get_word.runs += 1
        return text

    get_word.runs = 0
    return get_word


async def test_blocks_are_those_of_the_calling_thread(cache, words):
    def work() -> list[str]:
        with cache.traced() as trace:
            words(7)
            words(7)
            with cache.bypassed():
                words(7)
            with cache.refreshing():
                words(7)
            words(7)
        return [call.outcome for call in trace]

    assert await in_thread(work) == ["miss", "hit", "bypassed", "refreshed", "hit"]
    assert words.runs == 3
    cache.sync  # noqa: B018 - the loop of the process ends with it
    await in_thread(cache.sync.close)


async def test_values_can_be_declined_or_too_large(cache, words):
    def work() -> int:
        for text in ("", "x" * 30, "Haus"):
            words(7, text)
            words(7, text)
        return words.runs

    assert await in_thread(work) == 5
    await in_thread(cache.sync.close)


async def test_a_synchronous_writer_invalidates_a_synchronous_function(cache, words):
    @cache.invalidates(words.where(text="Haus"))
    def edit_word(word_id: int) -> None: ...

    def work() -> int:
        words(7)
        edit_word(7)
        words(7)
        return words.runs

    assert await in_thread(work) == 2
    await in_thread(cache.sync.close)
