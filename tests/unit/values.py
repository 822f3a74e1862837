"""Values of every kind that can be an argument or cached, and an independent definition of equality."""

import dataclasses
import datetime as dt
import math
import uuid
from decimal import Decimal
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

BERLIN = ZoneInfo("Europe/Berlin")
PARIS = ZoneInfo("Europe/Paris")


class Colour(Enum):
    RED = "red"
    ONE = 1
    NONE = None


class Level(StrEnum):
    A1 = "A1"
    RED = "red"


class Rank(IntEnum):
    ONE = 1
    TWO = 2


class Rights(Flag):
    READ = 1
    WRITE = 2


class Bits(IntFlag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: Any
    y: Any


class Size(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass(frozen=True)
class Word:
    text: Any
    rank: Any = None


@dataclasses.dataclass(frozen=True)
class Phrase:
    text: Any
    rank: Any = None


class Lemma(BaseModel):
    model_config = ConfigDict(frozen=True)
    text: Any
    rank: Any = None


class OpenLemma(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")
    text: Any
    rank: Any = None


Marks = tuple[Any, ...]


def marks(value: Any) -> Marks:
    """An identity of a value: equal exactly for values that are equal and of the same types."""
    if dataclasses.is_dataclass(value):
        return type(value), *(marks(getattr(value, field.name)) for field in dataclasses.fields(value))
    content = next((read(value) for kind, read in CONTENTS if isinstance(value, kind)), value)
    return type(value), content


def fields(value: BaseModel) -> dict[str, Any]:
    return {name: getattr(value, name) for name in type(value).model_fields}


CONTENTS: list[tuple[Any, Any]] = [
    (Enum, lambda value: value.value),
    (float, lambda value: "nan" if math.isnan(value) else value.hex()),
    (Decimal, Decimal.as_tuple),
    (PurePath, str),
    ((dt.datetime, dt.time), lambda value: (value.replace(tzinfo=None, fold=0), zone_marks(value))),
    (BaseModel, lambda value: marks({**fields(value), **(value.model_extra or {})})),
    ((tuple, list), lambda value: tuple(map(marks, value))),
    (dict, lambda value: frozenset((marks(key), marks(item)) for key, item in value.items())),
    ((set, frozenset), lambda value: frozenset(map(marks, value))),
]


def zone_marks(value: dt.datetime | dt.time) -> Marks:
    zone = value.tzinfo
    if zone is None:
        return "naive", value.fold
    offset = zone.utcoffset(None)
    return ("rules", str(zone), value.fold) if offset is None else ("fixed", offset)


# Few letters, most of them special, so that ambiguous combinations are likely.
special_text = st.text(
    st.sampled_from("~'(),=:%*?[]\\^{}#-+.eE01aNn \n\0é\ud800\u200b\U0001f600"), max_size=6
)
texts = st.one_of(
    special_text,
    st.text(max_size=8),
    st.text(st.characters(categories=("Cs", "Cc", "Cf", "Zs", "Lo")), max_size=4),
    st.sampled_from(
        [
            *(
                "",
                "None",
                "True",
                "False",
                "nan",
                "inf",
                "-inf",
                "1",
                "01",
                "1.0",
                "-0.0",
                "1e5",
                "a:b",
                "A1",
            ),
            *(
                "'7'",
                "~list()",
                "~tuple('1')",
                "red",
                "a%3Ab",
                "%3A",
                "%",
                "~enum(a,b)",
                "2024-01-01",
                "Path",
            ),
            *("İ", "ß", "é", "é", "1\n", "\x00", "\x7f", "\x85", "\ud800", "\udfff", "\ufeff", "٣"),
        ]
    ),
)
zones = st.one_of(
    st.none(),
    st.just(dt.UTC),
    st.integers(-86_399, 86_399).map(lambda seconds: dt.timezone(dt.timedelta(seconds=seconds))),
    st.sampled_from([BERLIN, PARIS, ZoneInfo("UTC")]),
)
moments = st.datetimes(timezones=zones, allow_imaginary=True) | st.sampled_from(
    [
        dt.datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=fold)  # the repeated hour
        for fold in (0, 1)
    ]
    + [
        dt.datetime(2024, 1, 1, fold=fold)  # noqa: DTZ001 - a naive one is meant
        for fold in (0, 1)
    ]
    + [
        dt.datetime(2024, 1, 1, tzinfo=zone)
        for zone in (BERLIN, PARIS, dt.UTC, dt.timezone(dt.timedelta(hours=1)))
    ]
)
numbers = st.one_of(
    st.integers(),
    st.integers(-2, 2),
    st.just(10**400),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, -math.inf]),
    st.decimals(),
    st.sampled_from([Decimal(1), Decimal("1.0"), Decimal("-0"), Decimal("NaN"), Decimal("sNaN12")]),
)
leaves = st.one_of(
    texts,
    numbers,
    st.booleans(),
    st.none(),
    st.binary(max_size=4),
    st.sampled_from([*Colour, *Level, *Rank]),
    st.builds(Rights, st.integers(0, 3)),
    st.builds(Bits, st.integers(0, 7)),
    st.uuids(),
    st.just(uuid.UUID(int=1)),
    moments,
    st.dates(),
    st.just(dt.date(2024, 1, 1)),
    st.times(timezones=zones),
    st.timedeltas(),
    texts.map(PurePosixPath),
    special_text.map(PureWindowsPath),
)
keys = st.one_of(
    texts, st.integers(-2, 2), st.booleans(), st.none(), st.uuids(), st.sampled_from([*Level, *Rank])
)
sets = st.one_of(
    st.frozensets(texts, max_size=3),
    st.frozensets(st.integers(-2, 2), max_size=3),
    st.frozensets(st.tuples(st.integers(0, 1) | texts), max_size=3),
    st.sets(st.integers(-2, 2), max_size=3),
    st.sets(st.sampled_from([*Level]), max_size=2),
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=3),
        st.builds(Point, inner, inner),
        st.builds(Size, inner, inner),
        st.builds(Word, inner, inner),
        st.builds(Phrase, inner, inner),
        st.builds(Lemma, text=inner, rank=inner),
        st.builds(OpenLemma, text=inner, extra=inner),
    )


values = st.recursive(leaves | sets, containers, max_leaves=6)
