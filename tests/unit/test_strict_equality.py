"""Strict equality, checked against an independent definition (`marks`)."""

import dataclasses
import datetime as dt
import functools
import math
from collections import deque
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from pydantic import BaseModel, ConfigDict

from langcache_cli.caching._values.strict_equality import strictly_equal
from tests.unit.values import BERLIN, PARIS, Lemma, OpenLemma, Point, Rank, Size, Word, marks, values

HOUR = dt.timezone(dt.timedelta(hours=1))
NOON = dt.datetime(2024, 1, 1, 12, tzinfo=HOUR)


@given(values, values)
def test_values_that_differ_anywhere_are_not_equal(left, right):
    if marks(left) != marks(right):
        assert not strictly_equal(left, right)


@dataclasses.dataclass
class Broken:
    text: str = dataclasses.field(init=False)


class Remembering(BaseModel):
    model_config = ConfigDict(extra="allow")
    number: int

    @functools.cached_property
    def double(self) -> int:
        return 2 * self.number


def remembering() -> Remembering:
    value = Remembering(number=1)
    assert value.double == 2
    return value


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, 1),
        ([1, {"a": (None, b"x")}], [1, {"a": (None, b"x")}]),
        (math.nan, float("nan")),
        ([math.nan], [float("nan")]),
        (-0.0, -0.0),
        (Decimal("NaN"), Decimal("NaN")),
        (Decimal("sNaN"), Decimal("sNaN")),
        (NOON, NOON.replace(tzinfo=dt.timezone(dt.timedelta(hours=1), "+01:00"))),
        ({"a", "b"}, {"b", "a"}),
        (remembering(), Remembering(number=1)),
        (Word("a", [1]), Word("a", [1])),
        (Broken(), Broken()),
        (deque([1], 3), deque([1], 3)),
    ],
)
def test_equal_values_of_equal_types_are_strictly_equal(left, right):
    assert strictly_equal(left, right)
    assert strictly_equal([left], [right])
    assert strictly_equal({"a": left}, {"a": right})


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, True),
        (1, 1.0),
        (1, Rank.ONE),
        (0.0, -0.0),
        (math.nan, 0.0),
        (Decimal("1.0"), Decimal("1.00")),
        ((1, 2), Point(1, 2)),
        (Point(1, 2), Size(1, 2)),
        ([1], (1,)),
        ([1], [1, 2]),
        ([1, 2], [1]),
        ({1}, frozenset({1})),
        ({1}, {True}),
        ({(1,)}, {(1.0,)}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1: "a"}, {True: "a"}),
        (NOON, NOON.astimezone(BERLIN)),
        (NOON, NOON.replace(tzinfo=dt.timezone(dt.timedelta(hours=1), "another name"))),
        (NOON.astimezone(BERLIN), NOON.astimezone(PARIS)),
        (NOON.astimezone(BERLIN), NOON.astimezone(BERLIN)),
        (NOON, NOON.astimezone(dt.UTC)),
        (NOON, NOON.replace(tzinfo=None)),
        ({NOON}, {NOON.astimezone(BERLIN)}),
        (NOON.replace(tzinfo=None), NOON.replace(tzinfo=None, fold=1)),
        (dt.time(1), dt.time(1, fold=1)),
        (dt.time(1, tzinfo=BERLIN), dt.time(1, tzinfo=BERLIN)),
        (Lemma(text="a"), Lemma(text="b")),
        (Lemma(text=1), Lemma(text=True)),
        (Lemma(text="a"), OpenLemma(text="a")),
        (OpenLemma(text="a", extra=1), OpenLemma(text="a")),
        (OpenLemma(text="a", extra=1), OpenLemma(text="a", extra=1.0)),
        (Word("a", 1), Word("a", 1.0)),
        (deque([1]), deque([True])),
        (deque([1]), deque([1], 3)),
        (object(), object()),
    ],
)
def test_values_that_are_only_loosely_equal_are_not_strictly_equal(left: Any, right: Any):
    assert not strictly_equal(left, right)
    assert not strictly_equal(right, left)
    assert not strictly_equal([left], [right])
    assert not strictly_equal({"a": (left,)}, {"a": (right,)})
