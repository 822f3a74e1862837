"""Calls for many items: cached one by one under the keys of the single calls, whose loads they share."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from langcache_cli.caching import CachedMany, cached_many
from langcache_cli.caching._protocol.entry import Placeholder
from tests.harness.polling import aeventually
from tests.integration.cache_support import Gate, waiting


class Translator:
    """Translates by writing backwards; every text that it is asked for is counted."""

    def __init__(self, cache, *, held: bool = False, **options) -> None:
        self.texts: Counter[str] = Counter()
        self.batches: list[list[str]] = []
        self.gate = Gate(is_open=not held)
        self.failing: set[str] = set()
        self.error: Exception | None = None

        @cache.cached(key_prefix="translation", **options)
        async def translate(text: str, source: str, target: str = "de") -> str:
            return (await self._translate([text]))[0]

        @cached_many(translate, each="texts")
        async def translate_batch(
            texts: Sequence[str], source: str, target: str = "de"
        ) -> Sequence[str | Exception]:
            self.batches.append(list(texts))
            return await self._translate(texts)

        self.one, self.many = translate, translate_batch

    async def _translate(self, texts: Sequence[str]) -> list[str | Exception]:
        self.texts.update(texts)
        await self.gate()
        if self.error is not None:
            raise self.error
        return [ValueError(text) if text in self.failing else text[::-1] for text in texts]


TEXTS = [f"text {number}" for number in range(200)]


def backwards(texts):
    return [text[::-1] for text in texts]


@pytest.fixture
def translator(cache) -> Translator:
    return Translator(cache)


async def test_only_what_is_missing_is_loaded_in_one_call_and_in_order(translator):
    await asyncio.gather(*(translator.one(text, "en") for text in TEXTS[:150]))
    translator.texts.clear()
    assert await translator.many(TEXTS, "en") == backwards(TEXTS)
    assert translator.batches == [TEXTS[150:]]
    assert await translator.many(TEXTS[::-1], "en") == backwards(TEXTS[::-1])
    assert len(translator.batches) == 1


async def test_entries_are_those_of_the_single_calls(translator, redis_server):
    await translator.many(["a b", "c"], "en", target="fr")
    keys = sorted(redis_server.command("KEYS", "cache:*"))
    assert keys == [b"cache:translation:translate:a b:en:fr", b"cache:translation:translate:c:en:fr"]
    assert await translator.one("c", "en", "fr") == "c"
    assert translator.texts == {"a b": 1, "c": 1}


async def test_each_item_once_and_duplicates_keep_their_places(translator):
    assert await translator.many(["ab", "cd", "ab", "ab"], "en") == ["ba", "dc", "ba", "ba"]
    assert translator.batches == [["ab", "cd"]]


async def test_nothing_to_do(translator):
    assert await translator.many([], "en") == []
    assert await translator.many(iter(["ab"]), "en") == ["ba"]
    assert translator.batches == [["ab"]]


async def test_two_overlapping_calls_at_the_same_time_load_each_item_once(translator):
    translator.gate.shut()
    calls = [
        asyncio.create_task(translator.many(TEXTS[:120], "en")),
        asyncio.create_task(translator.many(TEXTS[80:], "en")),
    ]
    await translator.gate.reached(2)
    translator.gate.open()
    assert await asyncio.gather(*calls) == [backwards(TEXTS[:120]), backwards(TEXTS[80:])]
    assert translator.texts == dict.fromkeys(TEXTS, 1)


async def test_overlapping_calls_of_two_processes_load_each_item_once(open_cache):
    ours, theirs = Translator(open_cache(), held=True), Translator(open_cache(), held=True)
    first = asyncio.create_task(ours.many(TEXTS[:120], "en"))
    await ours.gate.reached()
    second = asyncio.create_task(theirs.many(TEXTS[80:], "en"))
    await theirs.gate.reached()
    ours.gate.open()
    theirs.gate.open()
    assert await first == backwards(TEXTS[:120])
    assert await second == backwards(TEXTS[80:])
    assert ours.texts + theirs.texts == dict.fromkeys(TEXTS, 1)


async def test_single_calls_and_calls_for_many_share_loads(translator):
    translator.gate.shut()
    single = asyncio.create_task(translator.one("ab", "en"))
    await translator.gate.reached(1)
    many = asyncio.create_task(translator.many(["ab", "cd"], "en"))
    await translator.gate.reached(2)
    another = asyncio.create_task(translator.one("cd", "en"))
    await asyncio.sleep(0)
    translator.gate.open()
    assert await asyncio.gather(single, many, another) == ["ba", ["ba", "dc"], "dc"]
    assert translator.texts == {"ab": 1, "cd": 1}


async def test_what_could_not_be_loaded_is_raised_and_the_rest_is_kept(translator):
    translator.failing = {"bad"}
    with pytest.raises(ValueError, match="bad"):
        await translator.many(["ab", "bad", "cd"], "en")
    translator.failing = set()
    assert await translator.many(["ab", "bad", "cd"], "en") == ["ba", "dab", "dc"]
    assert translator.batches == [["ab", "bad", "cd"], ["bad"]]


async def test_several_failures_come_as_a_group(translator):
    translator.failing = {"bad", "worse"}
    with pytest.raises(ExceptionGroup, match="2 of 3 items failed") as caught:
        await translator.many(["ab", "bad", "worse"], "en")
    assert [str(error) for error in caught.value.exceptions] == ["bad", "worse"]


async def test_a_call_that_fails_stores_nothing_and_gives_its_leases_back(translator, redis_server):
    translator.error = OSError("no translator")
    with pytest.raises(OSError, match="no translator"):
        await translator.many(["ab", "cd"], "en")
    await aeventually(lambda: redis_server.command("KEYS", "cache:translation:*") == [])
    translator.error = None
    assert await translator.many(["ab", "cd"], "en") == ["ba", "dc"]


async def test_an_error_reaches_those_who_joined(translator):
    translator.gate.shut()
    translator.failing = {"bad"}
    many = asyncio.create_task(translator.many(["ab", "bad"], "en"))
    await translator.gate.reached()
    good, bad = (asyncio.create_task(translator.one(text, "en")) for text in ("ab", "bad"))
    await aeventually(lambda: waiting(translator.one.cache) == 3)
    translator.gate.open()
    assert await good == "ba"
    for failing in (bad, many):
        with pytest.raises(ValueError, match="bad"):
            await failing
    assert translator.texts == {"ab": 1, "bad": 1}


async def test_too_few_values_are_a_mistake_of_the_function(cache):
    translator = Translator(cache)

    @cached_many(translator.one, each="texts")
    async def broken(texts: list[str], source: str) -> list[str]:
        return texts[:1]

    with pytest.raises(ValueError, match="returned 1 values for 2 items"):
        await broken(["a", "b"], "en")


async def test_cancelled_it_leaves_those_who_joined_their_values(translator):
    translator.gate.shut()
    many = asyncio.create_task(translator.many(["ab", "cd"], "en"))
    await translator.gate.reached()
    single = asyncio.create_task(translator.one("cd", "en"))
    await aeventually(lambda: waiting(translator.one.cache) == 2)
    many.cancel()
    with pytest.raises(asyncio.CancelledError):
        await many
    translator.gate.open()
    assert await single == "dc"
    assert translator.texts == {"ab": 1, "cd": 2}


async def test_cancelled_alone_it_leaves_nothing(translator, redis_server):
    translator.gate.shut()
    many = asyncio.create_task(translator.many(["ab", "cd"], "en"))
    await translator.gate.reached()
    many.cancel()
    with pytest.raises(asyncio.CancelledError):
        await many
    await aeventually(lambda: redis_server.command("KEYS", "cache:translation:*") == [])
    assert len(translator.one.cache.runtime().running_loads) == 0


@pytest.mark.parametrize("steps", range(1, 40))
async def test_cancelled_at_any_await_it_harms_nobody(translator, redis_server, steps):
    many = asyncio.create_task(translator.many(["ab", "cd"], "en"))
    for _ in range(steps):
        await asyncio.sleep(0)
    many.cancel()
    await asyncio.gather(many, return_exceptions=True)
    assert await asyncio.wait_for(translator.many(["ab", "cd"], "en"), 5) == ["ba", "dc"]


async def test_an_invalidation_meanwhile_wins(open_cache):
    versions = {"a": 1, "b": 1}
    gate = Gate()
    cache = open_cache()

    @cache.cached(key_prefix="vocabulary", tags=("word:{word}",))
    async def version(word: str) -> int:
        return versions[word]

    @cached_many(version, each="words")
    async def all_versions(words: list[str]) -> list[int]:
        found = [versions[word] for word in words]
        await gate()
        return found

    for how in ("key", "tag"):
        await all_versions.invalidate(words=["a", "b"])
        gate.shut()
        call = asyncio.create_task(all_versions(["a", "b"]))
        await gate.reached(1)
        versions["a"] += 1
        await (version.invalidate("a") if how == "key" else cache.invalidate_tags("word:a"))
        gate.open()
        await call
        assert await version("a") == versions["a"]
        assert await all_versions(["a", "b"]) == [versions["a"], 1]
        gate.arrived = 0


async def test_without_redis_the_function_is_called_once(open_cache, own_redis):
    server = own_redis()
    translator = Translator(open_cache(server.url, operation_timeout=0.25))
    await translator.many(["ab"], "en")
    server.kill()
    for _ in range(5):
        translator.texts.clear()
        assert await translator.many(["ab", "cd", "ab"], "en") == ["ba", "dc", "ba"]
        assert translator.texts == {"ab": 1, "cd": 1}
    server.start()
    await aeventually(lambda: back_in_use(translator))


async def back_in_use(translator) -> bool:
    await translator.many(["ab"], "en")
    before = len(translator.batches)
    await translator.many(["ab"], "en")
    return len(translator.batches) == before


async def test_without_a_cache_the_function_is_called_with_each_item_once(open_cache):
    translator = Translator(open_cache(redis_enabled=False))
    assert await translator.many(["ab", "ab", "cd"], "en") == ["ba", "ba", "dc"]
    assert translator.batches == [["ab", "cd"]]


async def test_values_that_cannot_be_cached_do_not_keep_the_others_from_it(cache):
    loads: list[list[int]] = []

    @cache.cached(key_prefix="numbers")
    async def number(item: int) -> float:
        return float(item)

    @cached_many(number, each="items")
    async def numbers(items: list[int]) -> list[float]:
        loads.append(items)
        return [item if item == 2 else float(item) for item in items]  # an int is no float

    assert [str(value) for value in await numbers([1, 2, 3])] == ["1.0", "2", "3.0"]
    assert [str(value) for value in await numbers([1, 2, 3])] == ["1.0", "2", "3.0"]
    assert loads == [[1, 2, 3], [2]]


async def test_hits_misses_and_loads_are_counted_as_those_of_the_single_function(translator):
    await translator.many(["ab", "cd", "ef"], "en")
    await translator.many(["ab", "cd", "gh"], "en")
    numbers = translator.one.cache.statistics_of(translator.one)
    counters = ("hits", "misses", "loads", "bypassed")
    assert [numbers[counter] for counter in counters] == [2, 4, 2, 0]


async def test_methods_and_sessions(cache):
    class Service:
        def __init__(self) -> None:
            self.asked: list[list[int]] = []

        @cache.cached(key_prefix="vocabulary")
        async def word(self, word_id: int, db: AsyncSession | None) -> str:
            return (await self.words.uncached([word_id], db))[0]

        @cached_many(word, each="word_ids")
        async def words(self, word_ids: list[int], db: AsyncSession | None) -> list[str]:
            self.asked.append(word_ids)
            return [f"word {word_id}" for word_id in word_ids]

    service = Service()
    assert await service.word(1, None) == "word 1"
    assert await service.words([1, 2], None) == ["word 1", "word 2"]
    assert await service.words(word_ids=[2], db=None) == ["word 2"]
    assert service.asked == [[1], [2]]
    assert await service.words.invalidate(word_ids=[1, 2, 3]) == 2
    assert isinstance(Service.words, CachedMany)


async def test_a_string_is_no_list_of_items(translator):
    with pytest.raises(TypeError, match="texts must be a list of items, not 'abc'"):
        await translator.many("abc", "en")


def test_functions_that_do_not_fit_are_refused_when_they_are_made(cache):
    @cache.cached(key_prefix="translation")
    async def single(text: str, source: str, target: str) -> str:
        return text

    async def without_items(text: str, source: str, target: str) -> list[str]:
        return [text]

    async def without_target(texts: list[str], source: str) -> list[str]:
        return texts

    async def with_all(texts: list[str], text: str, source: str, target: str) -> list[str]:
        return texts

    for function, message in (
        (without_items, "has no parameter 'texts' for its items"),
        (without_target, "it lacks 'target', 'text'"),
        (with_all, "it lacks none"),
    ):
        with pytest.raises(TypeError, match=message):
            cached_many(single, each="texts")(function)


async def test_a_redis_that_dies_while_another_load_is_waited_for_costs_no_item_its_value(
    open_cache, own_redis
):
    server = own_redis()
    cache = open_cache(server.url)

    @cache.cached(key_prefix="translation")
    async def one(text: str) -> str:
        return text.upper()

    @cached_many(one, each="texts")
    async def many(texts: list[str]) -> list[str]:
        placeholder = Placeholder("0123456789abcdef", 1).to_bytes()
        server.command("SET", one.key_for(texts[0]), placeholder, "PX", 60_000)
        asyncio.get_running_loop().call_later(0.1, server.kill)
        return [text.upper() for text in texts]

    await one("x")
    assert await many(["a", "b"]) == ["A", "B"]
