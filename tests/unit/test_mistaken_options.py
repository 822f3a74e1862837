"""Mistakes that would be silent: a text for a list, a TTL function that cannot work, ..."""

import re

import pytest

from langcache_cli.caching import cached_many
from langcache_cli.caching.testing import memory_cache
from langcache_cli.fastapi import cached_route


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ignore": "db"}, "ignore must be a list of parameters: write ignore=('db',)"),
        ({"tags": "words"}, "tags must be a sequence of templates: write tags=('words',)"),
        ({"ttl": lambda: 60}, "ttl must be a function of one argument"),
        ({"ttl": lambda value, more: 60}, "ttl must be a function of one argument"),
    ],
)
def test_an_option_that_would_do_something_else_is_refused(options, message):
    with pytest.raises(TypeError, match=re.escape(message)):

        @memory_cache().cached(**options)
        async def get_word(word_id: int) -> str: ...


def test_a_ttl_that_has_to_be_awaited_is_refused():
    async def seconds(_: str) -> int: ...

    with pytest.raises(TypeError, match="not an 'async def' one"):
        memory_cache().cached(ttl=seconds)(seconds)


@pytest.mark.parametrize("tag", [["user:1"], 1, None])
async def test_a_tag_is_a_text(tag):
    async with memory_cache() as cache:
        with pytest.raises(TypeError, match="a tag is a text such as 'user:42'"):
            await cache.invalidate_tags(tag)


@pytest.mark.parametrize("name", ["tags", "patterns", "types"])
async def test_a_text_in_the_place_of_a_list_is_refused(name):
    async with memory_cache() as cache:
        with pytest.raises(TypeError, match=f"{name} must be a list"):
            cache.after_commit(None, **{name: "cache:user"})
        with pytest.raises(TypeError, match="keys must be a list"):
            await cache.invalidate_keys("cache:vocabulary:get_word:7")


def test_a_decorator_without_parentheses_says_so():
    def edit_word(word_id: int) -> None: ...

    with pytest.raises(TypeError, match="with parentheses, above"):
        memory_cache().invalidates(edit_word)


def test_a_plain_function_is_no_batch_loader():
    @memory_cache().cached(key_prefix="vocabulary")
    async def get_word(word_id: int) -> str: ...

    with pytest.raises(TypeError, match="async def"):

        @cached_many(get_word, each="word_ids")
        def get_words(word_ids: list[int]) -> list[str]: ...


@pytest.mark.parametrize("browser_ttl", [-1, "soon", None])
def test_a_browser_ttl_is_a_duration(browser_ttl):
    with pytest.raises(TypeError, match="browser_ttl"):

        @cached_route(key_prefix="vocabulary", cache=memory_cache(), browser_ttl=browser_ttl)
        async def read_word(word_id: int) -> str: ...
