"""Calls for many items that find them all, or nearly all: one request, and the guarantees of single calls."""

import asyncio

import pytest

from langcache_cli.caching import cached_many
from langcache_cli.caching._loading.call import Call
from langcache_cli.caching._loading.load import Load
from langcache_cli.caching._protocol.entry import parse
from langcache_cli.caching._wire.lookup_batch import KEYS_PER_LOOKUP
from tests.harness.polling import aeventually
from tests.harness.shared_redis import calls_of
from tests.integration.translator import TEXTS, Translator, backwards


@pytest.fixture
def counted(monkeypatch):
    """How many objects for single items were made."""
    made = {"Call": 0, "Load": 0}
    for kind in (Call, Load):
        original = kind.__init__

        def count(self, *args, _original=original, _name=kind.__name__, **kwargs):
            made[_name] += 1
            _original(self, *args, **kwargs)

        monkeypatch.setattr(kind, "__init__", count)
    return made


@pytest.mark.parametrize("options", [{}, {"tags": ("all", "of:{text}")}, {"stale_ttl": 60}])
async def test_items_that_are_there_make_no_objects(cache, counted, options):
    translator = Translator(cache, **options)
    await translator.many(TEXTS[:100], "en")
    counted.update(Call=0, Load=0)
    assert await translator.many(TEXTS[:100], "en") == backwards(TEXTS[:100])
    assert counted == {"Call": 0, "Load": 0}
    await translator.many([*TEXTS[:100], "new 1", "new 2"], "en")
    assert counted["Load"] == 1  # for the one run of the function


@pytest.mark.parametrize(("items", "requests"), [(100, 1), (KEYS_PER_LOOKUP, 1), (KEYS_PER_LOOKUP + 1, 2)])
@pytest.mark.parametrize("tags", [(), ("all",)])
async def test_one_request_for_all_items(one_cache, one_redis, items, requests, tags):
    texts = [f"text {number}" for number in range(items - len(tags))]
    translator = Translator(one_cache, tags=tags)
    await translator.many(texts, "en")
    before = calls_of(one_redis, "mget")
    assert await translator.many(texts, "en") == backwards(texts)
    assert calls_of(one_redis, "mget") - before == requests
    assert len(translator.batches) == 1


@pytest.mark.parametrize("tag", ["all", "of:b"])
async def test_an_invalidated_tag_loads_its_items(cache, tag):
    translator = Translator(cache, tags=("all", "of:{text}"))
    await translator.many(["a", "b", "c"], "en")
    await cache.invalidate_tags(tag)
    await translator.many(["a", "b", "c"], "en")
    assert translator.batches[1:] == [["a", "b", "c"] if tag == "all" else ["b"]]


async def test_what_is_no_servable_entry_is_loaded(cache, redis_server):
    translator = Translator(cache)
    texts = [f"text {number}" for number in range(9)]
    await translator.many(texts, "en")
    keys = [translator.one.key_for(text, "en") for text in texts]
    stored = redis_server.command("GET", keys[0])
    damaged = [
        b"",
        b"not ours",
        b"\n" + stored,
        stored.replace(b" created=", b" made="),
        stored.replace(b" schema=", b" more=1 schema="),
        stored.replace(b" schema=", b" schema=f"),
        stored.partition(b"\n")[0] + b"\n{damaged",
        stored.replace(b"\n", b" tags=0123456789abcdef\n", 1),
    ]
    for key, bytes_there in zip(keys[1:], damaged, strict=True):
        redis_server.command("SET", key, bytes_there)
    assert await translator.many(texts, "en") == backwards(texts)
    assert translator.batches[1:] == [texts[1:]]
    numbers = translator.one.cache.statistics_of(translator.one)
    assert numbers["undecodable"] == 6  # not what is empty, and not what looks outdated


async def test_unknown_optional_fields_are_skipped(cache, redis_server):
    translator = Translator(cache)
    await translator.many(["a", "b"], "en")
    key = translator.one.key_for("a", "en")
    stored = redis_server.command("GET", key).replace(b"\n", b" later=1\n", 1)
    redis_server.command("SET", key, stored)
    assert await translator.many(["a", "b"], "en") == ["a", "b"]
    assert len(translator.batches) == 1


async def test_a_compressed_value_is_there(open_cache, redis_server):
    translator = Translator(open_cache(compress_bytes=100))
    texts = ["x" * 500, "y"]
    await translator.many(texts, "en")
    assert parse(redis_server.command("GET", translator.one.key_for(texts[0], "en"))).compression == "zstd"
    assert await translator.many(texts, "en") == backwards(texts)
    assert len(translator.batches) == 1


async def test_an_entry_that_is_being_replaced_is_served(cache):
    translator = Translator(cache)
    await translator.many(["ab", "cd"], "en")
    translator.gate.shut()
    refresh = asyncio.create_task(translator.one.refresh("ab", "en"))
    await translator.gate.reached(2)
    assert await translator.many(["ab", "cd"], "en") == ["ba", "dc"]
    translator.gate.open()
    assert await refresh == "ba"
    assert len(translator.batches) == 1


async def test_repeated_items_that_are_there_are_distinct_objects(cache):
    @cache.cached(key_prefix="vocabulary")
    async def letters(word: str) -> list[str]:
        return list(word)

    @cached_many(letters, each="words")
    async def letters_of(words: list[str]) -> list[list[str]]:
        return [list(word) for word in words]

    for _ in range(2):
        first, other, second = await letters_of(["ab", "cd", "ab"])
        assert first == second == ["a", "b"]
        assert first is not second
        assert other == ["c", "d"]


async def test_nothing_is_read_while_an_invalidation_is_unconfirmed(open_cache, own_redis):
    server = own_redis()
    translator = Translator(open_cache(server.url, operation_timeout=0.25))
    await translator.many(["ab"], "en")
    server.pause()
    await translator.one.invalidate("ab", "en")
    assert await translator.many(["ab"], "en") == ["ba"]
    server.resume()
    assert translator.batches == [["ab"], ["ab"]]
    await aeventually(lambda: not translator.one.cache.runtime().outbox)


async def test_each_hit_is_an_event_of_its_own(cache):
    translator = Translator(cache)
    await translator.many(["ab", "cd"], "en")
    events = []
    cache.events.subscribe(events.append)
    await translator.many(["ab", "cd", "ef"], "en")
    found = [(event.name, event.key) for event in events if event.name in ("hits", "misses")]
    key = translator.one.key_for
    assert found == [("hits", key("ab", "en")), ("hits", key("cd", "en")), ("misses", key("ef", "en"))]
