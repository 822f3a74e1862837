"""Clearing by function, pattern and type removes what it names, all of it and nothing else."""

import asyncio

import pytest

from langcache_cli.caching import (
    CacheUnavailableError,
    PatternError,
    UnknownCacheTypeError,
    escape_pattern,
    invalidate_cache,
    set_default_cache,
)
from tests.harness.polling import aeventually
from tests.harness.shared_redis import fill
from tests.integration.cache_support import Database

OTHERS = 100_000
OURS = 1_000
FOREIGN = [
    "cache",
    "cache:",
    "vocabulary",
    "vocabulary:word:1",
    "Cache:vocabulary:word:1",
    "cache2:vocabulary:word:1",
    "other:cache:vocabulary:word:1",
    "cache@stats:m:60",
    "cache:vocabularies:word:1",
    "cache:vocabulary_levels:word:1",
    "cache:vocabulary_stats:word:1",
    "cache:a:vocabulary:1",
    "cache:translation:vocabulary:1",
    b"cache:\xff\xfe:vocabulary",
]
UNPLEASANT = [
    "*", "?", "[a-z]", "[^a]", "\\", "\\*", "^", "{", "}", "{a}", "-", "]", "[", "a\nb", "\r\n", "\0", " ",
    ":", "a:b", "**", "cache:*", "ü", "字", "x" * 500, "*" * 300, "%2A", "", "'", '"', "\x7f", "\u2028",
]  # fmt: skip


def keys_of(redis_server):
    """All but the list of events."""
    return set(redis_server.command("KEYS", "*", timeout=30)) - {b"cache@stats:events"}


async def test_clearing_a_type_removes_its_prefixes_among_100_000_others_and_nothing_else(
    cache, redis_server
):
    fill(redis_server, OTHERS, "cache:translation:vocabulary:")
    for key in FOREIGN:
        redis_server.command("SET", key, "theirs")
    before = keys_of(redis_server)
    fill(redis_server, OURS, "cache:vocabulary:word:")
    fill(redis_server, OURS, "cache:vocabulary_level:words:")
    redis_server.command("RPUSH", "cache:vocabulary:a list", "x")
    redis_server.command("SET", b"cache:vocabulary:\xff\xfe", "x")
    for key in ("cache:vocabulary:", "cache:vocabulary", "cache:vocabulary_level"):
        redis_server.command("SET", key, "x")
    assert await cache.invalidate_type("vocabulary") == 2 * OURS + 5
    assert keys_of(redis_server) == before
    assert await cache.invalidate_type("vocabulary") == 0


async def test_clearing_a_pattern_removes_what_matches_and_nothing_else(cache, redis_server):
    fill(redis_server, OURS, "cache:vocabulary:word:")
    fill(redis_server, OURS, "cache:translation:text:")
    fill(redis_server, OURS, "other:vocabulary:word:")
    assert await cache.invalidate("cache:*vocabulary*") == OURS
    assert await cache.invalidate("cache:*vocabulary*") == 0
    assert await cache.invalidate("cache:translation:text:99?") == 10
    assert len(keys_of(redis_server)) == 2 * OURS - 10


async def test_the_module_level_name_clears_the_default_cache(cache, redis_server):
    before = set_default_cache(cache)
    try:
        fill(redis_server, 10, "cache:vocabulary:word:")
        assert await invalidate_cache("cache:*vocabulary*") == 10
        assert await invalidate_cache("cache:*vocabulary*") == 0
    finally:
        set_default_cache(before)


@pytest.mark.parametrize(
    "pattern",
    ["*", "", "cache", "cache*", "c*", "[c]ache:*", "?ache:*", "*:cache:*", "cache2:*", "other:*",
     "\\cache:*", "\ncache:*", "cache@stats:*", "CACHE:*"],
)  # fmt: skip
async def test_a_pattern_that_could_reach_outside_the_namespace_is_refused(cache, redis_server, pattern):
    redis_server.command("SET", "cache2:x", "theirs")
    with pytest.raises(PatternError):
        await cache.invalidate(pattern)
    assert redis_server.command("DBSIZE") == 1


async def test_a_key_outside_the_namespace_is_refused(cache):
    with pytest.raises(PatternError):
        await cache.invalidate_keys(["cache:vocabulary:1", "other:1"])


async def test_an_unknown_type_is_refused_and_the_known_ones_are_named(cache):
    with pytest.raises(UnknownCacheTypeError, match="vocabulary"):
        await cache.invalidate_type("vocab*")


async def test_clearing_everything_leaves_the_statistics_and_other_namespaces(
    cache, open_cache, redis_server
):
    other = Database(open_cache(namespace="cache2"))
    database = Database(cache)
    await asyncio.gather(database.read(1), other.read(1))
    await cache.report()
    assert await cache.invalidate("cache:*") == 1
    assert redis_server.command("KEYS", "cache@stats:*:1m:*")
    assert (await cache.report()).total["misses"] == 1
    assert await other.read(1) == [1, 0]
    assert other.reads == {1: 1}


@pytest.fixture
def translate(cache):
    runs = []

    @cache.cached(key_prefix="translation")
    async def translate(text: str, source: str = "en") -> str:
        runs.append(text)
        return f"{text}!"

    translate.runs = runs
    return translate


async def test_unpleasant_texts_have_entries_of_their_own(translate):
    for _ in range(2):
        assert [await translate(text) for text in UNPLEASANT] == [f"{text}!" for text in UNPLEASANT]
    assert translate.runs == UNPLEASANT


@pytest.mark.parametrize("text", UNPLEASANT, ids=ascii)
async def test_invalidating_an_unpleasant_text_removes_its_entry_alone(translate, redis_server, text):
    texts = ["a", "b", "aa", *UNPLEASANT]
    await asyncio.gather(*map(translate, texts))
    before = keys_of(redis_server)
    assert await translate.invalidate(text)
    assert before - keys_of(redis_server) == {translate.key_for(text).encode()}
    assert not await translate.invalidate(text=text, source="en")


@pytest.mark.parametrize("text", [text for text in UNPLEASANT if text], ids=ascii)
async def test_an_escaped_text_in_a_pattern_matches_itself_alone(cache, redis_server, text):
    for name in ["a", "b", "aa", "a\nb", "word", *UNPLEASANT]:
        redis_server.command("SET", f"cache:note:{name}", "x")
    before = keys_of(redis_server)
    assert await cache.invalidate(f"cache:note:{escape_pattern(text)}") == 1
    assert before - keys_of(redis_server) == {f"cache:note:{text}".encode()}


async def test_invalidating_says_whether_there_was_anything(cache):
    database = Database(cache)
    assert await database.read.invalidate(1) is False
    await database.read(1)
    assert await database.read.invalidate(item=1) is True
    assert await database.read.invalidate(1) is False
    with pytest.raises(TypeError):
        await database.read.invalidate()
    with pytest.raises(TypeError):
        await database.read.invalidate(word=1)


async def test_methods_are_invalidated_without_their_session(cache):
    runs = []

    class Service:
        @cache.cached(key_prefix="vocabulary", ignore=("db",))
        async def get(self, item: int, db: object) -> int:
            runs.append(item)
            return item

    service = Service()
    assert (
        await service.get(1, object())
        == await Service().get(1, db=None)
        == await Service.get(service, 1, None)
    )
    assert runs == [1]
    assert await service.get.invalidate(item=1)
    assert await service.get(1, None) == 1
    assert await Service.get.invalidate(item=1)
    assert runs == [1, 1]


async def test_clearing_while_entries_are_being_written_removes_all_that_were_there_before(
    cache, redis_server
):
    fill(redis_server, 20_000, "cache:vocabulary:word:")
    database = Database(cache, prefix="episodes")
    clearing = asyncio.create_task(cache.invalidate("cache:vocabulary:*"))
    written = 0
    while not clearing.done():
        await database.read(written)
        written += 1
    assert await clearing == 20_000
    assert len(keys_of(redis_server)) == written


async def test_clearing_that_loses_its_server_half_way_says_so(open_cache, own_redis, fault_proxy):
    server = own_redis()
    fill(server, 20_000, "cache:vocabulary:word:")
    proxy = fault_proxy(server.port)
    cache = open_cache(f"redis://127.0.0.1:{proxy.port}/0", defer_invalidations=False)
    await cache.ping()
    proxy.cut_reply_after(100_000)
    with pytest.raises(CacheUnavailableError):
        await cache.invalidate_type("vocabulary")
    left = server.command("DBSIZE")
    assert 0 < left < 20_000
    assert await cache.invalidate_type("vocabulary") == left


async def test_a_method_can_be_named_through_its_class_with_or_without_its_instance(cache):
    runs = []

    class Service:
        @cache.cached(key_prefix="vocabulary")
        async def word(self, word_id: int, language: str = "de") -> int:
            runs.append(word_id)
            return word_id

    service = Service()
    assert Service.word.key_for(service, 7) == Service.word.key_for(word_id=7) == service.word.key_for(7)
    assert await service.word(7) == await Service.word(service, 7) == 7
    assert await Service.word.invalidate(service, 7)
    assert await service.word(7) == 7
    assert runs == [7, 7]


async def test_a_search_begins_anew_when_the_server_was_restarted_with_its_data(own_redis, open_cache):
    """A cursor says where a search goes on in the hash table of one process; the next hashes otherwise."""
    server = own_redis()
    cache = open_cache(server.url)
    fill(server, 200, "cache:vocabulary:word:")
    clearing = asyncio.create_task(cache.invalidate("cache:vocabulary:*", keys_per_second=400))
    # between two steps: a command that is lost with its connection goes to the outbox
    node = cache.runtime().server.node
    await aeventually(lambda: server.command("DBSIZE") < 200 and not node.connection._connection._waiting)
    server.restart()
    await clearing
    assert server.command("KEYS", "cache:vocabulary:*") == []
