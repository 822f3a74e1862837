"""Calls for many items: cached one by one under the keys of the single calls, whose loads they share."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from langcache_cli.caching import CachedMany, cached_many
from langcache_cli.caching._protocol.entry import Placeholder
from tests.harness.polling import aeventually
from tests.integration.cache_support import Gate
from tests.integration.translator import TEXTS, Translator, backwards


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
