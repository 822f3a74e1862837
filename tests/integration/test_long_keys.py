"""Patterns that name what stands behind the cut of a shortened key."""

import pytest

from langcache_cli.caching import escape_pattern
from langcache_cli.caching._keys.selection import MIN_HEAD_BYTES, select_pattern
from langcache_cli.caching._keys.shortening import shorten
from tests.integration.commit_support import write

LONG = "A sentence as it stands in subtitles and books. " * 5


@pytest.mark.parametrize(
    "pattern", ["cache:translation:translate_text:*:en:de", "cache:*translate*:de", "cache:*[e]"]
)
async def test_a_pattern_removes_shortened_keys_that_may_fit(cache, pattern):
    version = 1

    @cache.cached(key_prefix="translation")
    async def translate_text(text: str, source: str, target: str) -> str:
        return f"{version} {target}"

    @cache.cached(key_prefix="vocabulary")
    async def other(text: str) -> int:
        return version

    texts = ("Hello", LONG, "ä" * 120, "x" * 5000)
    for text in texts:
        await translate_text(text, "en", "de")
    await translate_text("Hello", "en", "fr")
    await other(LONG)
    found = {key async for keys in cache.scan(pattern) for key in keys}
    assert {translate_text.key_for(text, "en", "de") for text in texts} <= found
    version = 2
    assert await cache.invalidate(pattern) >= len(texts)
    assert {await translate_text(text, "en", "de") for text in texts} == {"2 de"}
    assert await translate_text("Hello", "en", "fr") == "1 fr"
    assert await other(LONG) == (1 if "translation" in pattern else 2)


async def test_a_pattern_that_is_removed_at_a_commit_removes_shortened_keys_that_may_fit(cache, session):
    version = 1

    @cache.cached(key_prefix="translation")
    async def translate_text(text: str, target: str) -> str:
        return f"{version} {target}"

    async def translated() -> list[str]:
        return [await translate_text(text, target) for text in ("Hello", LONG) for target in ("de", "fr")]

    await translated()
    await write(session)
    cache.after_commit(session, patterns=["cache:translation:translate_text:*:de"])
    version = 2
    await session.commit()
    assert await translated() == ["2 de", "1 fr", "2 de", "2 fr"]  # of a shortened key the end is not known


async def test_a_pattern_that_is_long_itself_removes_shortened_keys(cache):
    @cache.cached(key_prefix="translation")
    async def translate_text(text: str, target: str) -> int:
        return 1

    await translate_text(LONG, "de")
    head = "cache:translation:translate_text:" + LONG
    assert await cache.invalidate(f"{escape_pattern(head)}:d?") == 1
    await translate_text(LONG, "de")
    assert await cache.invalidate(f"{escape_pattern(head)}*") == 1
    await translate_text(LONG, "de")
    assert await cache.invalidate(f"{escape_pattern(head.replace('A', 'B'))}*") == 0


@pytest.mark.parametrize(
    "pattern", ["cache:*", "cache:p:f:*", "cache:p:f:a", "cache:p:f:???", "cache:p:**", r"cache:p:\*:*"]
)
def test_a_pattern_that_cannot_reach_beyond_the_cut_is_one_search(pattern):
    assert select_pattern(pattern).shortened is None


@pytest.mark.parametrize("pattern", ["cache:*a", "cache:*a*", "cache:[ab]", "c" * 164 + "*", "c" * 201])
def test_any_other_pattern_is_two(pattern):
    assert select_pattern(pattern).shortened is not None


def test_the_head_of_a_shortened_key_has_at_least_so_many_bytes():
    for fill in range(4):
        key = "x" * fill + "\U0001f600" * 100
        head, _, _ = shorten(key).partition("%#")
        assert len(head.encode()) >= MIN_HEAD_BYTES
