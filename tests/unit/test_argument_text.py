"""The text of arguments in keys: injective, and free of characters that are special in keys or patterns."""

import dataclasses
import datetime as dt
import io
import re
import unicodedata
import uuid
from collections import OrderedDict
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath, PureWindowsPath
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from langcache_cli.caching._keys import argument_text as module
from langcache_cli.caching._keys.argument_text import argument_text, escape
from tests.unit.values import (
    BERLIN,
    PARIS,
    Bits,
    Colour,
    Lemma,
    Level,
    Point,
    Rank,
    Rights,
    Size,
    Word,
    marks,
    special_text,
    texts,
    values,
)

LOOK_ALIKES = [
    *(1, "1", True, "True", 1.0, "1.0", "01", "+1", Rank.ONE, Colour.ONE, Bits.READ, Rights.READ, Decimal(1)),
    *(None, "None", "", "''", "a:b", "a%3Ab", "'7'", 7, "7", "~list()", [], (), {}, set(), frozenset()),
    *("red", Level.RED, Colour.RED, Colour.NONE, b"", b"red", "~bytes()", [1], ["1"], (1,), {1: 1}, {"1": 1}),
    *(float("nan"), "nan", float("inf"), "inf", -0.0, 0.0, 0, "0", "-0", "1e5", 1e5, 100000),
    *(dt.date(2024, 1, 1), "2024-01-01", dt.datetime(2024, 1, 1), dt.time(), dt.timedelta()),  # noqa: DTZ001 - a naive one
    *(uuid.UUID(int=0), str(uuid.UUID(int=0)), PurePosixPath("a"), PureWindowsPath("a"), "a"),
    *(Point(1, 2), Size(1, 2), (1, 2), [1, 2], Word(1, 2), Lemma(text=1, rank=2), {"x": 1, "y": 2}),
    *([[1], 2], [1, [2]], [[1, 2]], ["1,2"], ["1", "2"], ["1','2"], {"a": "b,c=d"}, {"a": "b", "c": "d"}),
]


def test_similar_values_have_different_texts():
    assert len({argument_text(value) for value in LOOK_ALIKES}) == len(LOOK_ALIKES)


@given(st.lists(values, min_size=2, max_size=8))
def test_two_values_have_the_same_text_exactly_if_they_are_equal(drawn):
    known: dict[str, Any] = {}
    for value in drawn:
        assert known.setdefault(argument_text(value), marks(value)) == marks(value)
    assert len({marks(value) for value in drawn}) == len(known)


@given(values)
def test_a_string_equal_to_the_text_of_a_value_has_another_text(value):
    imitation = argument_text(value)
    if value != imitation:
        assert argument_text(imitation) != argument_text(value)
        assert argument_text([imitation]) != argument_text([value])
        assert argument_text((imitation,)) != imitation


@given(values)
def test_no_text_contains_a_separator_glob_brace_control_character_or_surrogate(value):
    text = argument_text(value)
    assert not re.search(r"[:*?\[\]\\^{}\x00-\x1f\x7f-\x9f]", text)
    assert not {unicodedata.category(letter) for letter in text} & {"Cc", "Cs", "Zl", "Zp"}
    assert text.encode("utf-8")
    assert not re.search("%(?![0-9A-F]{2})", text)


@given(texts)
@example("%")
@example("a%3Ab")
def test_escaping_is_reversible(text):
    restored = re.sub(
        b"%([0-9A-F]{2})", lambda match: bytes.fromhex(match[1].decode()), escape(text).encode()
    )
    assert restored.decode("utf-8", "surrogatepass") == text


@pytest.mark.parametrize(
    "text", ["A1", "Hello world", "Straße", "de-DE", "user@example.org", "naïve 日本", "a/b"]
)
def test_plain_words_are_unchanged(text):
    assert argument_text(text) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (-7, "-7"),
        (True, "True"),
        (None, "None"),
        (1.5, "1.5"),
        ("7", "'7'"),
        ("", "''"),
        ("a:b", "a%3Ab"),
        ("x*", "x%2A"),
        ("~list()", "'~list%28%29'"),
        ("\u202e", "%E2%80%AE"),
        (b"\xff", "~bytes(ff)"),
        ([1, "1"], "~list(1,'1')"),
        ({"b": 1, "a": None}, "~dict('a'=None,'b'=1)"),
        (Level.A1, "~enum(tests.unit.values.Level,A1)"),
        (Word("Haus"), "~tests.unit.values.Word(text='Haus',rank=None)"),
        (dt.date(2024, 1, 1), "~date(2024-01-01)"),
    ],
)
def test_the_text_of_existing_keys_does_not_change(value, text):
    assert argument_text(value) == text


@pytest.mark.parametrize("letter", ["\u061c", "\xad", "\ufff9", "\u200b", "\u202e", "\u2066", "\ufeff"])
def test_invisible_and_reordering_characters_are_escaped(letter):
    assert letter not in argument_text(f"a{letter}b")


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "misleading"


class Number(int):
    def __repr__(self) -> str:
        return "misleading"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (Text("a"), "a"),
        ([Text("a")], ["a"]),
        (Number(7), 7),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (OrderedDict(a=1), {"a": 1}),
        ({"x", "y", "z"}, {"z", "y", "x"}),
        (
            dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
            dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(0), "Z")),
        ),
        (dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC"))),
    ],
)
def test_equivalent_values_have_the_same_text(left, right):
    assert argument_text(left) == argument_text(right)


def test_a_zone_with_rules_differs_from_its_current_offset():
    winter = dt.datetime(2024, 1, 1, tzinfo=BERLIN)
    assert argument_text(winter) != argument_text(winter.replace(tzinfo=PARIS))
    assert argument_text(winter) != argument_text(winter.astimezone(dt.timezone(dt.timedelta(hours=1))))


@pytest.mark.parametrize("zone", [None, BERLIN])
def test_the_two_occurrences_of_a_repeated_hour_have_different_texts(zone):
    first = dt.datetime(2024, 10, 27, 2, 30, tzinfo=zone)
    assert argument_text(first) != argument_text(first.replace(fold=1))
    assert argument_text(first.timetz()) != argument_text(first.replace(fold=1).timetz())


def test_an_int_beyond_the_decimal_limit_of_python_has_a_text():
    assert argument_text(10**5000) != argument_text(10**5000 + 1)
    assert argument_text(-(10**5000)) != argument_text(10**5000)


def test_a_subclass_of_set_has_the_text_of_an_equal_set():
    class Words(set[str]):
        pass

    Words.__name__ = "list"
    assert argument_text(Words({"a"})) == argument_text({"a"}) != argument_text(["a"])


def test_extra_fields_of_a_model_are_part_of_its_text():
    class Query(BaseModel, extra="allow"):
        text: str

    assert argument_text(Query(text="a", page=1)) != argument_text(Query(text="a", page=2))
    assert argument_text(Query(text="a", b=1, c=2)) == argument_text(Query(text="a", c=2, b=1))


@dataclasses.dataclass
class Unset:
    text: str = dataclasses.field(init=False)


def a_list_in_itself() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "object has no stable form"),
        (SimpleNamespace(a=1), "SimpleNamespace"),
        (io.StringIO("text"), "StringIO"),
        ([object()], "object"),
        ({"a": len}, "builtin_function_or_method"),
        ((item for item in "ab"), "generator"),
        ({1, "1"}, "mixed types"),
        ({None, 1}, "mixed types"),
        (Word, "type"),
        (SecretStr("hunter2"), "SecretStr"),
        (bytearray(b"a"), "bytearray"),
        (a_list_in_itself(), "contains itself"),
        (Unset(), "incomplete"),
        (Lemma.model_construct(), "incomplete"),
    ],
)
def test_a_value_without_a_stable_form_is_rejected(value, reason):
    with pytest.raises(TypeError, match=reason):
        argument_text(value)


def test_enum_members_with_unusual_names_have_different_texts():
    odd = Enum("odd", {"a": 1, "b": 2})
    pair = argument_text([odd.a, odd.b])
    imitation = pair.removeprefix("~list(~enum(tests.unit.test_argument_text.odd,").removesuffix("))")
    assert argument_text([Enum("odd", {imitation: 1})[imitation]]) != pair
    assert ":" not in argument_text(Enum("odd", {"a:b": 1})["a:b"])


@given(special_text, special_text)
def test_neighbouring_items_of_a_list_stay_separate(left, right):
    assert argument_text([left + right]) != argument_text([left, right])
    assert (argument_text([left, right]) == argument_text([right, left])) == (left == right)


@given(values | st.lists(texts | special_text) | st.dictionaries(texts | special_text, values, max_size=3))
def test_the_fast_paths_change_no_text(value):
    quick = _text_or_error(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_EXACT", {})
        patch.setattr(module, "is_plain_word", lambda _text: None)
        patch.setattr(module, "_PLAIN_INSIDE", lambda _text: None)
        assert _text_or_error(value) == quick


def _text_or_error(value: Any) -> str:
    try:
        return argument_text(value)
    except TypeError as error:
        return type(error).__name__
