"""`@invalidates` on and for every kind of function: methods, plain ones, batches, the default cache."""

import asyncio
import functools
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langcache_cli.caching import (
    cached,
    cached_many,
    invalidates,
    set_default_cache,
)
from langcache_cli.caching.testing import memory_cache
from tests.integration.cache_support import Database
from tests.integration.writes_support import stored


@pytest.fixture
async def cache():
    async with memory_cache(operation_timeout=5.0) as cache:
        yield cache


@pytest.fixture
async def words(cache) -> Database:
    """Entries 1 to 4 are in the cache."""
    database = Database(cache, tags=("word:{item}",))
    for item in (1, 2, 3, 4):
        await database.read(item)
    return database


async def keys(cache) -> set[str]:
    return {key async for some in cache.scan() for key in some}


async def test_methods_that_read_something_of_their_instance(cache):
    class Words:
        def __init__(self, language: str) -> None:
            self.language = language

        @cache.cached(key_prefix="words", key="{self.language}:{item}")
        async def read(self, item: int) -> int:
            return item

        @cache.invalidates(read)
        async def write(self, item: int) -> None: ...

    class Others(Words): ...

    german, french, others = Words("de"), Words("fr"), Others("de")
    for one in (german, french, others):
        await one.read(1)
    await german.write(1)
    assert await keys(cache) == {french.read.key_for(1), others.read.key_for(1)}
    await others.write(1)
    assert await keys(cache) == {french.read.key_for(1)}


async def test_a_writer_of_another_class_says_where_the_instance_is(cache):
    class Words:
        language = "de"

        @cache.cached(key_prefix="words", key="{self.language}:{item}")
        async def read(self, item: int) -> int:
            return item

    class Writer:
        language = "de"

        def __init__(self, words: Words) -> None:
            self.words = words

        @cache.invalidates(Words.read)
        async def write_wrongly(self, item: int) -> None:
            raise AssertionError

        @cache.invalidates(Words.read.where(self="{self.words}"))
        async def write(self, item: int) -> None: ...

    writer = Writer(Words())
    await writer.words.read(1)
    with pytest.raises(TypeError, match=r"cannot be a .*Writer: say where it is, as \.where\(self="):
        await writer.write_wrongly(1)
    await writer.write(1)
    assert await keys(cache) == set()


async def test_class_methods_and_static_methods(cache):
    class Words:
        @classmethod
        @cache.cached(key_prefix="levels")
        async def level(cls, item: int) -> int:
            return item

        @staticmethod
        @cache.cached(key_prefix="names")
        async def name(item: int) -> int:
            return item

        @classmethod
        @cache.invalidates(level)
        async def write_level(cls, item: int) -> str:
            return cls.__name__

        @cache.invalidates(name)
        @staticmethod
        async def write_name(item: int) -> int:
            return item

    class Others(Words): ...

    for one in (Words, Others):
        await one.level(1)
        await one.name(1)
    assert len(await keys(cache)) == 3
    assert await Others.write_level(1) == "Others"  # all classes: a write may concern each
    assert await keys(cache) == {Words.name.key_for(1)}
    assert await Others.write_name(1) == 1
    assert await keys(cache) == set()


async def test_batches_as_targets(cache, words):
    @cached_many(words.read, each="items")
    async def read_all(items: list[int]) -> list[list[int]]:
        return [[item, 0] for item in items]

    @cache.invalidates(read_all)
    async def write(items: list[int]) -> None: ...

    await write([1, 3])
    assert await stored(words) == {2, 4}
    with pytest.raises(TypeError, match="can be read only once"):
        await write(iter([1]))


async def test_plain_functions_on_the_loop_and_in_threads(cache, words):
    @cache.invalidates(words.read)
    def write(item: int) -> int:
        words.versions[item] += 1
        return item

    assert write(1) == 1
    assert await words.read(1) == [1, 1]
    assert await asyncio.to_thread(write, 2) == 2
    assert await words.read(2) == [2, 1]
    assert await asyncio.gather(*(asyncio.to_thread(write, item) for item in (3, 4))) == [3, 4]
    assert [await words.read(item) for item in (3, 4)] == [[3, 1], [4, 1]]


async def test_a_plain_function_that_returns_a_coroutine_is_awaited_first(cache, words):
    async def work(item: int) -> None:
        assert await cache.holds(words.read.key_for(item))

    @cache.invalidates(words.read)
    def write(item: int):
        return work(item)

    await write(1)
    assert await stored(words) == {2, 3, 4}


def test_a_plain_function_without_any_event_loop():
    cache = memory_cache()
    words = Database(cache)

    @cache.invalidates(words.read)
    def write(item: int) -> int:
        words.versions[item] += 1
        return item

    async def first() -> None:
        await words.read(1)

    async def second() -> None:
        async with cache:
            assert await words.read(1) == [1, 1]

    asyncio.run(first())
    thread = threading.Thread(target=write, args=(1,))
    thread.start()
    thread.join()
    asyncio.run(second())


async def test_the_module_level_name_is_that_of_the_default_cache(cache):
    before = set_default_cache(cache)
    try:

        @cached(key_prefix="words")
        async def read(item: int) -> int:
            return item

        @invalidates(read)
        async def write(item: int) -> None: ...

        await read(1)
        await write(1)
        assert not await cache.holds(read.key_for(1))
        async with memory_cache() as other:

            @other.invalidates(read)
            async def write_elsewhere(item: int) -> None:
                raise AssertionError

            with pytest.raises(TypeError, match="function of another cache"):
                await write_elsewhere(1)
    finally:
        set_default_cache(before)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=8), st.text(max_size=8))
def test_text_from_users_in_a_pattern_matches_only_itself(text, other):
    async def run() -> None:
        async with memory_cache() as cache:

            @cache.cached(key_prefix="words")
            async def read(word: str) -> str:
                return word

            @cache.invalidates(patterns=("cache:words:read:{word}",))
            async def write(word: str) -> None: ...

            await read(text)
            await read(other)
            await write(text)
            assert not await cache.holds(read.key_for(text))
            assert await cache.holds(read.key_for(other)) == (other != text)

    asyncio.run(run())


async def test_a_partial_function_can_write(cache, words):
    async def write(item: int, text: str) -> str:
        return text

    wrapped = cache.invalidates(words.read)(functools.partial(write, text="a"))
    assert await wrapped(1) == "a"
    assert await stored(words) == {2, 3, 4}
