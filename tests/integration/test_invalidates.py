"""`@invalidates`: what a function that writes removes, and when."""

import asyncio

import pytest

from langcache_cli.caching import (
    PatternError,
    UnknownCacheTypeError,
)
from langcache_cli.caching.testing import Faults, memory_cache, null_cache
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, Gate
from tests.integration.writes_support import Word, stored


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def cache(faults):
    async with memory_cache(faults=faults, operation_timeout=5.0) as cache:
        yield cache


@pytest.fixture
async def words(cache) -> Database:
    """Entries 1 to 4 are in the cache."""
    database = Database(cache, tags=("word:{item}",))
    for item in (1, 2, 3, 4):
        await database.read(item)
    return database


async def test_the_entry_of_the_same_arguments_goes_when_the_function_has_returned(cache, words):
    seen = []

    @cache.invalidates(words.read)
    async def write(text: str, item: int) -> str:
        """Write."""
        seen.append(await cache.holds(words.read.key_for(item)))
        return text

    assert await write("a", item=1) == "a"
    assert seen == [True]
    assert await stored(words) == {2, 3, 4}
    assert (write.__name__, write.__doc__) == ("write", "Write.")


async def test_defaults_are_arguments_and_a_wrong_call_fails_as_without_it(cache, words):
    @cache.invalidates(words.read)
    async def write(item: int = 2) -> None: ...

    await write()
    assert await stored(words) == {1, 3, 4}
    with pytest.raises(TypeError, match="unexpected keyword argument 'id'"):
        await write(id=1)


async def test_tags_patterns_and_types_from_arguments_and_from_the_result(cache, words):
    @cache.invalidates(
        tags=("word:{word.id}", "word:{result[0].id}"), patterns=("cache:*:{row[key]}",), types=("{kind}",)
    )
    async def write(word: Word, row: dict[str, int], kind: str) -> list[Word]:
        return [Word(2)]

    await cache.set("user_stats:1", 1)
    await write(Word(1), {"key": 3}, "progress")
    assert await stored(words) == {4}
    assert await cache.get("user_stats:1") is None


async def test_without_a_result_what_it_names_is_left_out(cache, words):
    @cache.invalidates(words.read.where(item="{result.id}"), tags=("word:{item}",))
    async def write(item: int) -> Word | None:
        return Word(item + 1) if item == 3 else None

    await write(1)
    assert await stored(words) == {2, 3, 4}
    await write(3)
    assert await stored(words) == {1, 2}


async def test_a_name_that_changes_is_invalidated_before_and_after(cache, words):
    @cache.invalidates(words.read.where(item="{word.id}"))
    async def move(word: Word) -> None:
        word.id = 2

    await move(Word(1))
    assert await stored(words) == {3, 4}


async def test_other_values_in_where(cache):
    @cache.cached(key_prefix="words")
    async def read(item: int, language: str = "de") -> int:
        return item

    @cache.invalidates(
        read.where(item="{word.id}", language="fr"), read.where(item="{word.id}", language="{to}")
    )
    async def write(word: Word, to: str) -> None: ...

    for language in ("de", "fr", "en"):
        await read(1, language)
    await write(Word(1), "en")
    assert [await cache.holds(read.key_for(1, one)) for one in ("de", "fr", "en")] == [True, False, False]


@pytest.mark.parametrize("error", [LookupError, ExceptionGroup])
async def test_never_when_it_raises(cache, words, error):
    @cache.invalidates(words.read, tags=("word:2",))
    async def write(item: int) -> None:
        raise error("no", [ValueError()]) if error is ExceptionGroup else error("no")

    with pytest.raises(error, match="no"):
        await write(1)
    assert await stored(words) == {1, 2, 3, 4}


async def test_a_write_that_is_cancelled_may_have_been_committed(cache, words):
    gate = Gate()

    @cache.invalidates(words.read)
    async def write(item: int) -> None:
        await gate()

    call = asyncio.create_task(write(1))
    await gate.reached()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    words.versions[1] = 1
    assert await words.read(1) == [1, 1]  # at once, also before Redis has confirmed
    await aeventually(lambda: cache.pending_invalidations == 0, within=30)
    assert await words.read(1) == [1, 1]


async def test_without_redis_it_is_kept_until_redis_is_back(cache, words, faults):
    @cache.invalidates(words.read)
    async def write(item: int) -> str:
        return "written"

    faults.fail()
    assert await write(1) == "written"
    assert cache.pending_invalidations == 1
    words.versions[1] = 1
    faults.heal()
    assert await words.read(1) == [1, 1]
    await aeventually(lambda: cache.pending_invalidations == 0, within=30)
    assert await words.read(1) == [1, 1]


async def test_no_load_that_began_before_the_write_is_stored_after_it(cache):
    words = Database(cache, held=True)

    @cache.invalidates(words.read)
    async def write(item: int) -> None:
        words.versions[item] += 1

    first = asyncio.create_task(words.read(1))
    await words.gate.reached()
    await write(1)
    words.gate.open()
    assert await words.read(1) == [1, 1]
    assert (await first)[0] == 1
    assert await words.read(1) == [1, 1]


async def test_writers_at_the_same_time(cache, words):
    @cache.invalidates(words.read)
    async def write(item: int) -> int:
        words.versions[item] += 1
        await asyncio.sleep(0)
        return words.versions[item]

    async def write_and_read(item: int) -> None:
        written = await write(item)
        assert (await words.read(item))[1] >= written

    await asyncio.gather(*(write_and_read(1 + number % 4) for number in range(200)))
    assert [(await words.read(item))[1] for item in (1, 2, 3, 4)] == [50] * 4


async def test_a_disabled_cache_adds_nothing():
    cache = null_cache()

    @cache.invalidates(patterns=("elsewhere:*",))
    async def write(item: object) -> object:
        return item

    thing = object()
    assert await write(thing) is thing


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"patterns": ("elsewhere:*",)}, PatternError),
        ({"types": ("{item}",)}, UnknownCacheTypeError),
        ({"tags": ("word:{item.id}",)}, TypeError),
        ({"tags": ("word:{things}",)}, TypeError),
    ],
)
async def test_what_is_wrong_with_a_call_is_said_before_anything_is_written(cache, options, error):
    @cache.invalidates(**options)
    async def write(item: str, things: object) -> None:
        raise AssertionError

    with pytest.raises(error):
        await write("nothing", object())


async def test_a_result_without_the_field_is_an_error_after_all_else_was_invalidated(cache, words):
    @cache.invalidates(words.read, tags=("word:{result.id}",))
    async def write(item: int) -> str:
        return "a text"

    with pytest.raises(TypeError, match=r"'result\.id' cannot be read"):
        await write(1)
    assert await stored(words) == {2, 3, 4}
