"""Versions of tags are guessed when leases are taken: a wrong guess costs one round trip, no entry."""

import asyncio

import pytest

from langcache_cli.caching import cached_many
from langcache_cli.caching._loading import leases
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, waiting


class Words:
    """A function for one word and one for many, under one tag."""

    def __init__(self, cache) -> None:
        self.cache = cache
        self.runs: list[list[int]] = []

        @cache.cached(key_prefix="vocabulary", tags=("words",))
        async def one(word: int) -> int:
            self.runs.append([word])
            return word

        @cached_many(one, each="words")
        async def many(words: list[int]) -> list[int]:
            self.runs.append(list(words))
            return list(words)

        self.one, self.many = one, many


@pytest.fixture
def before_leases(monkeypatch):
    """`before_leases(work)` runs work once, between the next look-up of a batch and its leases."""
    acquire_tagged = leases.acquire_tagged

    def install(work) -> None:
        async def late(*arguments, **options):
            monkeypatch.setattr(leases, "acquire_tagged", acquire_tagged)
            await work()
            return await acquire_tagged(*arguments, **options)

        monkeypatch.setattr(leases, "acquire_tagged", late)

    return install


async def test_a_wrong_guess_for_many_items_costs_one_round_trip(
    cache, open_cache, before_leases, monkeypatch
):
    ours, theirs = Words(cache), Words(open_cache())
    await ours.many([1])
    await cache.invalidate_tags("words")
    steps, acquired = cache.runtime().store, []
    acquire = steps.acquire

    async def counted(leases, *arguments, **options):
        acquired.append(len(leases))
        return await acquire(leases, *arguments, **options)

    monkeypatch.setattr(steps, "acquire", counted)
    before_leases(lambda: theirs.one(2))  # gives the tag a version
    items = list(range(100, 400))
    assert await ours.many(items) == items
    assert acquired == [len(items)]
    ours.runs.clear()
    assert await ours.many(items) == items
    assert ours.runs == []


async def test_an_entry_stored_meanwhile_is_used_although_the_guess_was_wrong(
    cache, open_cache, before_leases
):
    ours, theirs = Words(cache), Words(open_cache())
    await ours.one(99)
    await theirs.one(98)

    async def invalidate_and_load() -> None:
        await theirs.cache.invalidate_tags("words")
        await theirs.one(1)

    before_leases(invalidate_and_load)
    ours.runs.clear()
    assert await ours.many([1, 2]) == [1, 2]
    assert ours.runs == [[2]]
    theirs.runs.clear()
    assert await theirs.many([1, 2]) == [1, 2]
    assert theirs.runs == []


async def test_a_load_that_is_run_once_more_after_an_invalidation_is_stored_as_valid(cache, open_cache):
    ours, theirs = (Database(one, tags=("words",)) for one in (cache, open_cache()))
    await ours.read(5)
    ours.gate.shut()
    first, second = (asyncio.create_task(ours.read(1)) for _ in range(2))
    await aeventually(lambda: waiting(cache) == 2)
    await ours.gate.reached()
    await theirs.cache.invalidate_tags("words")
    await theirs.read(7)  # the tag has a version that this event loop does not know
    first.cancel()
    await ours.gate.reached(2)
    ours.gate.open()
    assert await second == [1, 0]
    assert await theirs.read(1) == await ours.read(1) == [1, 0]
    assert (ours.reads[1], theirs.reads.get(1)) == (2, None)
