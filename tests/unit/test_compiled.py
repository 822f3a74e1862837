"""Compiled key building returns the same keys as binding the arguments."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._keys.argument_text import _string, is_plain_word
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
    key, tags = spec.bound_address("cache", args, kwargs)
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
    address = outcome(lambda *args, **kwargs: spec.address("cache", args, kwargs), *args, **kwargs)
    assert address == expected if isinstance(expected, str) else (address.key, *address.tag_keys) == expected
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


def of_items(spec: FunctionSpec, items: list[Any], **shared: Any) -> Any:
    return spec.addresses_of_items("cache", items, (), shared, item="third")


def one_by_one(spec: FunctionSpec, items: list[Any], **shared: Any) -> Any:
    addresses = [spec.bound_address("cache", (), {**shared, "third": item}) for item in items]
    tags = [address.tag_keys for address in addresses] if spec.is_tagged else None
    return [address.key for address in addresses], tags


async def by_name(second: Any, third: Any, *, more: Any = 1, _: Any = 0) -> int: ...


PLAIN_ITEMS = st.lists(st.text("abc DEF.\n:*", min_size=4), max_size=4) | st.lists(st.integers(), max_size=4)


@given(
    st.lists(ARGUMENTS, max_size=4) | PLAIN_ITEMS,
    st.fixed_dictionaries({}, optional=dict.fromkeys(("second", "more", "_", "unknown"), ARGUMENTS)),
    st.sampled_from([None, "x:{third}:{second}", "{more}:{third}", "{third}:{third}", "{third[0]}:{_}"]),
    st.sampled_from([(), ("all",), ("of:{third}", "all"), ("both:{second}:{third}", "{third}", "{second}")]),
)
def test_keys_of_many_items_equal_those_of_each(items, shared, template, tags):
    if template not in (None, "x:{third}:{second}") and any("{second}" in tag for tag in tags):
        tags = ()
    if template == "{third[0]}:{_}" and tags != ("all",):
        tags = ()
    spec = spec_of(by_name, tags=tags, key=template)
    expected = outcome(lambda: one_by_one(spec, items, **shared))
    if not items and isinstance(outcome(lambda: of_items(spec, items, **shared)), tuple):
        return  # nothing to complain about
    assert outcome(lambda: of_items(spec, items, **shared)) == expected


@pytest.mark.parametrize(
    "items",
    [
        ["Hello world", "None of it"],
        ["Hello\nworld", "another"],
        ["longer", "False"],
        ["longer", "~list()"],
        ["a" * 300, "Übergröße"],
        [1, 2**70],
        [1, True],
        ["1", 1],
        [f"text {'x' * 240}", "longer"],
    ],
)
def test_items_that_look_plain_have_the_keys_that_they_have_alone(items):
    spec = spec_of(by_name)
    assert of_items(spec, items, second="de") == one_by_one(spec, items, second="de")


def test_many_items_of_a_function_that_is_not_compiled_have_keys():
    async def computed(item: str, of: str) -> int: ...

    spec = spec_of(computed, key=lambda item, of: f"{item}/{of}")
    found, tags = spec.addresses_of_items("cache", ["a", "b"], (), {"of": "x"}, item="item")
    assert (found, tags) == ([spec.bound_address("cache", (item, "x"), {}).key for item in ("a", "b")], None)
