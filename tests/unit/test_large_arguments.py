"""An argument with much in it costs little, whatever its shape, and keeps a key of its own."""

import dataclasses
from collections import OrderedDict, defaultdict
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching._keys import argument_text as module
from langcache_cli.caching._keys import large_argument
from langcache_cli.caching._keys.argument_text import argument_text
from langcache_cli.caching._keys.large_argument import LARGE, LONG_TEXT
from tests.unit.values import Lemma, Level, Point, Word, marks, values

CONTROLS = "\0" * 1000
TEXTS = [f"{number}:{CONTROLS}" for number in range(1000)]
MEGABYTES: dict[str, Any] = {
    "list": TEXTS,
    "tuple": tuple(TEXTS),
    "set": {*TEXTS},
    "frozenset": frozenset(TEXTS),
    "nested": [[TEXTS[:500]], [[TEXTS[500:]]]],
    "nested tuple": [(number, text) for number, text in enumerate(TEXTS)],
    "dict": {str(number): text for number, text in enumerate(TEXTS)},
    "dict of lists": {"a": TEXTS},
    "keys": dict.fromkeys(TEXTS, 1),
    "keys of numbers": dict(enumerate(TEXTS)),
    "models": [Lemma(text=text) for text in TEXTS],
    "dataclasses": [Word(text) for text in TEXTS],
    "named tuples": [Point(text, 1) for text in TEXTS],
    "model": Lemma(text=TEXTS),
    "dataclass": Word(TEXTS),
    "paths": [PurePosixPath(text) for text in TEXTS],
}


@pytest.mark.parametrize("name", MEGABYTES)
def test_nothing_of_a_megabyte_is_escaped(name, monkeypatch):
    escaped = []
    escape = module.escape
    monkeypatch.setattr(module, "escape", lambda text: escaped.append(len(text)) or escape(text))
    text = argument_text(MEGABYTES[name])
    assert len(text) < 50
    assert sum(escaped) < LONG_TEXT


@pytest.fixture
def everything_is_large(monkeypatch):
    monkeypatch.setattr(large_argument, "LARGE", -1)


@given(st.lists(values, min_size=2, max_size=8))
def test_two_values_have_the_same_digest_exactly_if_they_are_equal(drawn):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_argument, "LARGE", -1)
        known: dict[str, Any] = {}
        for value in drawn:
            # in a list: values that contain no others have no digest
            assert known.setdefault(argument_text([value]), marks(value)) == marks(value)
        assert len({marks(value) for value in drawn}) == len(known)


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Items(list):
    pass


@pytest.mark.parametrize(
    ("value", "other"),
    [
        ([{"a": 1, "b": 2}], [OrderedDict(b=2, a=1)]),
        ([{"a": [1]}], [defaultdict(list, a=[1])]),
        ([{1: "x", "b": (2,)}], [OrderedDict([("b", (2,)), (1, "x")])]),
        (["a", 1], [Text("a"), Number(1)]),
        ([("a", 1)], [(Text("a"), Number(1))]),
        ([{"a"}], [{Text("a")}]),
        ([["a"], ("b",)], [Items(["a"]), ("b",)]),
        ([{"b", "a", "c"}], [{"c", "b", "a"}]),
        ([{(1, "b"), (1, "a")}], [{(1, "a"), (1, "b")}]),
    ],
)
def test_equal_values_of_subclasses_have_one_digest(value, other, everything_is_large):
    assert value == other
    assert argument_text(value) == argument_text(other)
    assert argument_text(value).startswith("~list%#")


LOOK_ALIKES: list[Any] = [
    *([1], (1,), ["1"], [True], [1.0], [None], ["None"], [[1]], [(1,)], [{1}], [frozenset({1})], [{"1": 1}]),
    *([{1: 1}], [{"dict": [("'1'", 1)]}], [[("'1'", 1)]], [{"set": [1]}], [b"1"], ["b'1'"], [b"~bytes(31)"]),
    *([Decimal(1)], [Level.A1], ["A1"], [PurePosixPath("A1")], [{"path": "A1"}], [Word(1)], [Lemma(text=1)]),
    *([Point(1, 2)], [(1, 2)], [[1, 2]], [1, 2], [[1], 2], [1, [2]], [{"x": 1, "y": 2}], {"x": 1, "y": 2}),
    *(
        [{(1,)}],
        [{"(1,)"}],
        [{True}],
        [{"True"}],
        [{1.5}],
        [{"1.5"}],
        [{"1"}],
        [{b"1"}],
        [{"b'1'"}],
        [{Word(1)}],
    ),
]


def test_similar_values_have_different_digests(everything_is_large):
    assert len({argument_text(value) for value in LOOK_ALIKES}) == len(LOOK_ALIKES)


def test_an_argument_below_the_bound_keeps_its_text():
    items = ["x" * 1000] * 16
    assert argument_text(items) == "~list('" + "','".join(items) + "')"
    assert argument_text([items, ["y" * (LARGE - 16_000 - 19)]]).endswith("y'))")
    assert argument_text([items, ["y" * (LARGE - 16_000 - 18)]]).startswith("~list%#")


@pytest.mark.parametrize("kind", [list, tuple, Items])
def test_what_contains_itself_is_refused(kind):
    items: list[Any] = []
    items += [kind(items) if kind is not tuple else (items,)] * 3
    items += [items, items, *TEXTS]
    with pytest.raises(TypeError, match="contains itself"):
        argument_text(items)


@pytest.mark.parametrize("value", [object(), bytearray(b"x"), {1, "a"}, Word])
def test_what_has_no_stable_form_is_refused(value):
    with pytest.raises(TypeError, match="no stable form"):
        argument_text([value, *TEXTS])


def test_a_number_too_long_to_write_is_no_error():
    assert argument_text([10**5000, *TEXTS]) != argument_text([10**5000 + 1, *TEXTS])


class Money(Decimal):
    """A dataclass whose value is that of the class it derives from."""

    currency: str

    def __new__(cls, currency: str, amount: str) -> Self:
        return super().__new__(cls, amount)

    def __init__(self, currency: str, amount: str) -> None:
        self.currency = currency


Amount = dataclasses.dataclass(eq=False, init=False)(Money)


def test_what_derives_from_a_plain_value_keeps_that_value():
    texts = [
        argument_text(["x" * LARGE, Amount("EUR", amount)] + ["y"] * LARGE) for amount in ("1", "2", "1")
    ]
    assert texts[0] != texts[1]
    assert texts[0] == texts[2]
