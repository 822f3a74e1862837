"""Long arguments cost little and keep keys of their own."""

from collections import OrderedDict
from typing import Any

import pytest

from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._keys.argument_text import MANY_ITEMS, argument_text
from langcache_cli.caching._keys.large_argument import LONG_TEXT

MEGABYTE = 1_000_000
ARGUMENTS: dict[str, Any] = {
    "word": "a" * MEGABYTE,
    "colons": ":" * MEGABYTE,
    "controls": "\x00" * MEGABYTE,
    "digits": "1" * MEGABYTE,
    "sentences": "Ein Satz: mit *? und ü\n" * 45_000,
    "surrogates": "\ud800" * MEGABYTE,
    "tilde": "~list(1)" * 125_000,
    "bytes": b"\xff" * MEGABYTE,
    "strings": [f"word {i}:" for i in range(100_000)],
    "numbers": tuple(range(150_000)),
}


async def look_up(item: Any) -> int: ...


keys = FunctionSpec(look_up, {"key_prefix": "p"}).compiled_keys("cache")


NESTED: dict[str, Any] = {
    "lists": [[1, 2, 3]] * 80_000,
    "rows": [{"a": 1, "b": "x"}] * 50_000,
    "set": set(range(150_000)),
}


@pytest.mark.parametrize("name", NESTED)
def test_the_key_of_a_nested_megabyte_is_its_own(name):
    value = NESTED[name]
    assert keys(value) == keys(value.copy())
    other = {*value} - {7} if isinstance(value, set) else value[1:]
    assert keys(value) != keys(other)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_megabyte_is_not_written_out_character_by_character(name):
    # escaping a megabyte takes up to a second; its digest takes a millisecond, and hex needs no escaping
    value = ARGUMENTS[name]
    text = argument_text(value)
    assert len(text) < LONG_TEXT or text == f"~bytes({value.hex()})"
    assert len(keys(value)[0].encode()) <= 200


LONG = "Ein langer Satz: " * 1000


def variants() -> list[Any]:
    numbers = list(range(MANY_ITEMS + 1))
    pairs = {str(i): i for i in numbers}
    return [
        LONG,
        LONG + "x",
        LONG[:-1],
        "x" + LONG,
        "~" + LONG,
        "'" + LONG,
        [LONG],
        (LONG,),
        [LONG + "x"],
        {"a": LONG},
        numbers,
        tuple(numbers),
        [str(number) for number in numbers],
        [float(number) for number in numbers],
        [*numbers, True],
        [*numbers, 1],
        [*numbers, 1.0],
        [*numbers, None],
        [*numbers, "None"],
        [numbers],
        set(numbers),
        pairs,
        {**pairs, "0": False},
        {i: i for i in numbers},
        argument_text(LONG),
        argument_text(numbers),
    ]


def test_long_arguments_do_not_share_keys():
    found = [keys(value) for value in variants()]
    assert len(set(found)) == len(found)


def test_the_head_of_a_long_string_stays_readable():
    assert keys(LONG)[0].startswith("cache:p:look_up:Ein langer Satz%3A Ein langer Satz%3A ")
    assert len(keys(LONG)[0].encode()) == 200
    assert argument_text("a" * LONG_TEXT) == "a" * LONG_TEXT


def test_the_order_of_a_long_dict_makes_no_difference():
    pairs = {str(i): i for i in range(MANY_ITEMS + 1)}
    assert keys(pairs) == keys(dict(reversed(pairs.items()))) == keys(OrderedDict(pairs))


def test_a_number_too_long_to_write_is_no_error():
    assert keys([10**5000] * (MANY_ITEMS + 1)) != keys([10**5000 + 1] * (MANY_ITEMS + 1))
