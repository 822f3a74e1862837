"""Compiled key building returns the same keys as binding the arguments."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._keys.argument_text import is_plain_word, _string
from langcache_cli.caching._keys.compiled import compile_keys
from langcache_cli.caching._keys.tags import TagTemplates
from tests.unit.values import values

TAGS = ("word:{first}", "all", "both:{third}:{first}")


async def anything(
    first: Any, second: Any = None, /, third: Any = "x", *, more: Any = 1, _: Any = 0
) -> int: ...


async def everything(*args: Any, **kwargs: Any) -> int: ...


def spec_of(function: Any, *, tags: tuple[str, ...] = (), **options: Any) -> FunctionSpec:
    return FunctionSpec(function, {"key_prefix": "p", "tags": tags, **options})


def outcome(names: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return names(*args, **kwargs)
    except TypeError as error:
        return str(error)


def compiled(spec: FunctionSpec) -> Any:
    names = spec.compiled_keys("cache")

    def names_or_error(*args: Any, **kwargs: Any) -> tuple[str, ...]:
        try:
            return names(*args, **kwargs)
        except TypeError:
            return spec.key_and_tags("cache", *args, **kwargs)

    return names_or_error


def bound(spec: FunctionSpec, *args: Any, **kwargs: Any) -> tuple[str, ...]:
    key, tags = spec.address("cache", args, kwargs)
    return (key, *tags)


ARGUMENTS = values | st.text() | st.integers()
CALLS = st.tuples(
    st.lists(ARGUMENTS, max_size=4),
    st.fixed_dictionaries({}, optional=dict.fromkeys(("third", "more", "_", "unknown"), ARGUMENTS)),
)


@given(CALLS, st.sampled_from([None, "x:{third}:{first}", "{more}:all", "none"]), st.booleans())
def test_compiled_keys_and_errors_equal_those_of_bound_arguments(call, template, tagged):
    args, kwargs = call
    names_in_key = ("first", "third") if template == "x:{third}:{first}" else ()
    tags = TAGS if tagged and (template is None or names_in_key) else ("all",)
    spec = spec_of(anything, tags=tags, key=template)
    expected = outcome(lambda *args, **kwargs: bound(spec, *args, **kwargs), *args, **kwargs)
    assert outcome(compiled(spec), *args, **kwargs) == expected
    alone = outcome(spec.compiled_keys("cache"), *args, **kwargs)
    assert alone == expected or isinstance(alone, str)


@given(st.lists(ARGUMENTS, max_size=3), st.dictionaries(st.text("abc", min_size=1), ARGUMENTS, max_size=3))
def test_a_function_with_variadic_arguments_is_not_compiled(args, kwargs):
    spec = spec_of(everything)
    assert compile_keys(spec.keys, TagTemplates(()), "cache") is None
    assert outcome(compiled(spec), *args, **kwargs) == outcome(
        lambda *args, **kwargs: bound(spec, *args, **kwargs), *args, **kwargs
    )


@given(st.text())
def test_the_fast_path_accepts_only_words_that_the_slow_path_leaves_unchanged(text):
    if is_plain_word(text):
        assert _string(text) == text


@pytest.mark.parametrize(
    "text", ["None", "True", "False", "inf", "nan", "", "1", "-inf", "a:b", "a\n", "~a", "a*"]
)
def test_reserved_and_special_texts_take_the_slow_path(text):
    assert not is_plain_word(text)


@pytest.mark.parametrize(
    "text", ["Haus", "schön", "Hello world", "none", "Nonesuch", "get_word", "Wie geht's"[:3]]
)
def test_words_take_the_fast_path(text):
    assert is_plain_word(text)


def test_a_function_name_with_quotes_and_braces_is_escaped():
    async def odd(item: int) -> int: ...

    odd.__name__ = "a\"{item}\\'}\n"
    spec = spec_of(odd)
    assert compiled(spec)(1) == bound(spec, 1)
