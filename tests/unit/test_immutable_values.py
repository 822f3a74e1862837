"""Immutable values, which the near cache returns to all callers."""

import dataclasses
import datetime as dt
import functools
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from langcache_cli.caching._near.immutable_values import size_if_immutable


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    parts: Any = ()


@dataclasses.dataclass(frozen=True)
class FrozenWithDict:
    name: str
    parts: Any = ()

    @property
    def first(self) -> str:
        return self.name[0]

    @classmethod
    def empty(cls) -> "FrozenWithDict":
        return cls("")


@dataclasses.dataclass(frozen=True)
class FrozenWithCachedProperty:
    name: str

    @functools.cached_property
    def letters(self) -> list[str]:
        return list(self.name)


class Pair(NamedTuple):
    left: object
    right: object


class PairWithDict(Pair):
    pass


class Extended(Frozen):
    __slots__ = ("note",)


class ExtendedWithDict(Frozen):
    pass


@dataclasses.dataclass
class Mutable:
    name: str


class Model(BaseModel, frozen=True):
    name: str


class Level(Enum):
    A1 = "A1"


IMMUTABLE = [
    None,
    True,
    1,
    1.5,
    "Haus",
    b"x",
    Decimal("1.0"),
    UUID(int=1),
    dt.date(2026, 1, 1),
    dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    dt.timedelta(1),
    Level.A1,
    (),
    (1, ("a", None)),
    frozenset({1, 2}),
    Pair(1, "b"),
    Frozen("a", (1, Frozen("b"))),
    FrozenWithDict("a", (1, Frozen("b"))),
]


MUTABLE = [
    [],
    {},
    set(),
    ([],),
    Frozen("a", []),
    FrozenWithCachedProperty("a"),
    FrozenWithDict("a", []),
    Extended("a"),
    ExtendedWithDict("a"),
    Mutable("a"),
    Model(name="a"),
    Pair(1, {}),
    PairWithDict(1, "b"),
    bytearray(b"x"),
    object(),
]


@pytest.mark.parametrize("value", IMMUTABLE, ids=repr)
def test_an_immutable_value_has_a_size(value):
    assert size_if_immutable(value) is not None


@pytest.mark.parametrize("value", MUTABLE, ids=lambda value: type(value).__name__)
def test_a_mutable_value_has_none(value):
    assert size_if_immutable(value) is None


def test_a_frozen_object_with_an_added_attribute_has_none():
    value = FrozenWithDict("a")
    value.__dict__["more"] = []
    assert size_if_immutable(value) is None


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner).map(tuple)))
def test_the_size_grows_with_the_value(value):
    assert (
        size_if_immutable((value, "x" * 1000)) > size_if_immutable((value, "")) > size_if_immutable(value) > 0
    )
