"""What `@invalidates` refuses when the module is imported."""

import pytest

from langcache_cli.caching import Cache
from langcache_cli.caching.testing import memory_cache


@pytest.fixture
def cache() -> Cache:
    return memory_cache()


@pytest.fixture
def read(cache):
    @cache.cached(key_prefix="words")
    async def read(item: int, language: str = "de") -> int:
        return item

    return read


def test_a_parameter_that_the_key_needs_also_one_with_a_default(cache, read):
    with pytest.raises(TypeError, match=r"no parameter 'language'.*<cached .*read>.*\.where\(.*tags=\("):

        @cache.invalidates(read)
        async def write(item: int) -> None: ...


def test_a_parameter_of_another_type(cache, read):
    with pytest.raises(TypeError, match=r"'item' is of type str.* of type int: they have different keys"):

        @cache.invalidates(read)
        async def write(item: str, language: str) -> None: ...


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs functions, tags=, patterns= or types="),
        ({"tags": "word:1"}, r"write tags=\('word:1',\)"),
        ({"tags": ("{word}",)}, "names 'word', which it does not take"),
        ({"tags": ("{item!r}",)}, "nothing more inside the braces"),
        ({"patterns": ("cache:{item",)}, "malformed"),
        ({"patterns": ("cache:{item:>3}",)}, "nothing more inside the braces"),
        ({"session": "{db}", "tags": ("a",)}, "names no parameter of it"),
    ],
)
def test_options_that_mean_nothing(cache, options, message):
    with pytest.raises(TypeError, match=message):

        @cache.invalidates(**options)
        async def write(item: int) -> None: ...


def test_what_is_no_cached_function(cache):
    async def write(item: int) -> None: ...

    with pytest.raises(TypeError, match="with parentheses"):
        cache.invalidates(write)


def test_unknown_names_in_where(cache, read):
    with pytest.raises(TypeError, match="'word' is no part of the key"):

        @cache.invalidates(read.where(word="{item}"))
        async def write(item: int, language: str) -> None: ...


def test_functions_that_do_not_end_or_are_cached(cache, read):
    with pytest.raises(TypeError, match="is a generator"):

        @cache.invalidates(tags=("a",))
        async def write():
            yield 1

    with pytest.raises(TypeError, match="is cached"):
        cache.invalidates(tags=("a",))(read)


def test_parameters_that_have_no_name(cache):
    @cache.cached(key_prefix="words")
    async def read(*items: int) -> int:
        return len(items)

    with pytest.raises(TypeError, match="cannot be given by name"):

        @cache.invalidates(read)
        async def write(items: list[int]) -> None: ...
