"""Annotations with values that must round-trip through the codec."""

import dataclasses
import datetime as dt
import math
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    computed_field,
)
from typing_extensions import TypedDict

from tests.unit.values import Colour, Level, Rank, marks

T = TypeVar("T")


HOUR = dt.timezone(dt.timedelta(hours=1))


class Place(NamedTuple):
    name: str
    codes: tuple[int, ...] = ()


@dataclasses.dataclass
class Sound:
    data: bytes
    length: dt.timedelta = dt.timedelta()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    sounds: list[Sound]
    by: uuid.UUID | None = None


@dataclasses.dataclass
class Box(Generic[T]):
    content: T


class Translation(BaseModel):
    text: str
    quality: Decimal = Decimal("0.50")


class Entry(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    word_id: int = Field(alias="wordId")
    language: str = Field(default="de", validation_alias="lang", serialization_alias="Language")
    translations: list[Translation] = []
    level: Level | None = None
    added: dt.datetime | None = None

    @computed_field
    @property
    def count(self) -> int:
        return len(self.translations)

    @computed_field
    @cached_property
    def first(self) -> str | None:
        return self.translations[0].text if self.translations else None


class Aliased(BaseModel):
    word_id: int = Field(alias="wordId")


class Open(BaseModel, extra="allow"):
    name: str


class Numbers(RootModel[list[int]]):
    pass


class Binary(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    data: bytes


class PlainBinary(BaseModel):
    data: bytes


class Row(TypedDict, total=False):
    word_id: int
    when: dt.date
    data: bytes


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"


AN_ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


NOON = dt.datetime(2024, 6, 1, 12, 30, 15, 123456, tzinfo=dt.UTC)


FIRST, LAST = dt.datetime.min, dt.datetime.max  # noqa: DTZ901 - naive ones are meant


NAIVE = NOON.replace(tzinfo=None)


UNAMBIGUOUS: list[tuple[Any, Any]] = [
    *[(int, value) for value in (0, -7, 2**63, -(10**400))],
    *[(bool, value) for value in (True, False)],
    (None, None),
    *[(float, value) for value in (0.1, 1.0, -0.0, 5e-324, math.nan, math.inf, -math.inf)],
    *[(str, value) for value in ("", "Straße 日本", "\U0001f600", "a\0b", '"\\\n', "null", "\u2028")],
    *[(bytes, value) for value in (b"", b"text", b"\xff\xfe\x00", bytes(range(256)))],
    *[
        (Decimal, Decimal(value))
        for value in ("0", "1.00", "-0.0", "1E+30", "0.1", "123456789.123456789123456789")
    ],
    *[(dt.datetime, value) for value in (NOON, NAIVE, NOON.astimezone(HOUR), FIRST, LAST)],
    *[(dt.date, value) for value in (dt.date(2024, 2, 29), dt.date.min, dt.date.max)],
    *[(dt.time, value) for value in (dt.time(), dt.time(1, 2, 3, 4), dt.time(1, tzinfo=HOUR))],
    *[(dt.timedelta, dt.timedelta(**value)) for value in ({}, {"days": -1, "microseconds": 1}, {"weeks": 9})],
    (uuid.UUID, AN_ID),
    *[(Level, Level.A1), (Rank, Rank.TWO), (Colour, Colour.RED), (Colour, Colour.ONE), (Colour, Colour.NONE)],
    *[(tuple[int, str], (1, "a")), (tuple[int, ...], (1, 2)), (tuple[()], ())],
    *[(Place, Place("x")), (Place, Place("x", (1, 2))), (list[Place], [Place("x"), Place("y", (3,))])],
    *[
        (set[int], {3, 1}),
        (frozenset[str], frozenset("ab")),
        (set[uuid.UUID], {AN_ID}),
        (set[Place], {Place("x")}),
    ],
    *[
        (dict[int, str], {-1: "a", 2: "b"}),
        (dict[uuid.UUID, int], {AN_ID: 1}),
        (dict[Level, int], {Level.A1: 1}),
    ],
    *[(dict[Rank, None], {Rank.ONE: None}), (dict[dt.date, list[int]], {dt.date(2024, 1, 1): [1]})],
    (dict[str, Any], {"a": [1, "x", None, True, 1.5, {"b": []}]}),
    *[(Sound, Sound(b"\xff\x00", dt.timedelta(milliseconds=5))), (list[Sound], [Sound(b"\xff")])],
    (Recording, Recording(sounds=[Sound(b"\xff"), Sound(b"")], by=AN_ID)),
    *[(Box[int], Box(1)), (Box[list[dt.date]], Box([dt.date(2024, 1, 1)]))],
    (Entry, Entry(wordId=7)),
    (Entry, Entry(wordId=7, lang="fr", translations=[Translation(text="a")], level=Level.A1, added=NOON)),
    (dict[str, list[Entry]], {"a": [Entry(wordId=1), Entry(wordId=2, added=NAIVE)]}),
    *[(Open, Open(name="a")), (Open, Open(name="a", more=[1, "x", None], nested={"b": 1.5}))],
    *[(Aliased, Aliased(wordId=7)), (Box[Aliased], Box(Aliased(wordId=7)))],
    (Numbers, Numbers([1, 2])),
    *[
        (Binary, Binary(data=b"\xff")),
        (list[Binary], [Binary(data=b"\xff")]),
        (PlainBinary, PlainBinary(data=b"abcd")),
    ],
    *[(Row, {"word_id": 1, "when": dt.date(2024, 1, 1)}), (Row, {}), (list[Row], [{"data": b"\xff"}])],
    *[(Literal["a", 1] | None, value) for value in ("a", 1, None)],
    *[(OrderedDict[str, int], OrderedDict(b=1, a=2)), (defaultdict[str, int], defaultdict(int, a=1))],
    *[(deque[int], deque([2, 1])), (Counter[str], Counter("aab"))],
    *[(Sequence[int], [1]), (Mapping[str, int], {"a": 1})],
    *[(Any, value) for value in (None, True, 1, 1.5, "x", [1, [2]], {"a": {"b": None}}, math.inf)],
    (Annotated[list[int], Field(max_length=3)], [1]),
]


AMBIGUOUS: list[tuple[Any, tuple[Any, ...]]] = [
    (uuid.UUID | str, (AN_ID, str(AN_ID), "")),
    (str | uuid.UUID, (AN_ID, str(AN_ID), "")),
    (bytes | str, (b"abcd", "abcd", b"\xff", "YWJjZA==")),
    (tuple[int, ...] | list[int], ((1,), [1], (), [])),
    (Level | str, (Level.A1, "A1", "other")),
    (Rank | int, (Rank.ONE, 1, 3)),
    (int | Rank | None, (Rank.ONE, 1, None)),
    (Colour | str | int, (Colour.RED, "red", Colour.ONE, 1)),
    (Decimal | str, (Decimal("1.0"), "1.0")),
    (Decimal | float | int, (Decimal("1.0"), 1.0, 1, math.nan)),
    (dt.datetime | str, (NOON, NOON.isoformat())),
    (dt.date | dt.datetime, (dt.date(2024, 1, 1), dt.datetime(2024, 1, 1), NOON)),  # noqa: DTZ001 - a naive one
    (dt.datetime | dt.date | None, (dt.date(2024, 1, 1), NOON, None)),
    (list[int] | list[str], ([1], ["1"], [])),
    (list[dt.date] | list[str], ([dt.date(2024, 1, 1)], ["2024-01-01"])),
    (Translation | Sound, (Translation(text="a"), Sound(b"\xff"))),
    (Aliased | Translation, (Aliased(wordId=7), Translation(text="a"))),
    (Cat | Dog | None, (Cat(), Dog(), None)),
    (Annotated[Cat | Dog, Field(discriminator="kind")], (Cat(), Dog())),
    (Numbers | list[int], (Numbers([1]), [1])),
    (Place | tuple[str, tuple[int, ...]], (Place("x"), ("x", ()))),
    (dict[str, int] | Translation, ({"a": 1}, Translation(text="a"))),
    (set[int] | list[int] | frozenset[int], ({1}, [1], frozenset({1}))),
    (Sequence[int] | str, ([1], "1")),
    (Literal["a"] | uuid.UUID, ("a", AN_ID)),
    (Literal[1, 2] | Rank, (1, 2, Rank.ONE)),
    (Annotated[uuid.UUID, "documented"] | str, (AN_ID, str(AN_ID))),
    (Annotated[uuid.UUID | str, "documented"], (AN_ID, str(AN_ID))),
    (Optional[uuid.UUID | str], (None, AN_ID, str(AN_ID))),  # noqa: UP045 - an older spelling
    (list[uuid.UUID | str], ([AN_ID, str(AN_ID)], [])),
    (dict[str, list[bytes | str | None]], ({"a": [b"\xff", "x", None]},)),
    (tuple[Level | str, Decimal | str], ((Level.A1, "1"), ("A1", Decimal(1)))),
    (list[list[uuid.UUID | str] | tuple[bytes | str, ...]], ([[AN_ID, "a"], (b"\xff", "a")],)),
    (dict[uuid.UUID | str, int], ({AN_ID: 1}, {"a": 1})),
    (int | str | None, (1, "1", None, "")),
    (int | float | bool, (1, 1.0, True, -0.0)),
]


PAIRS = [*UNAMBIGUOUS, *((annotation, value) for annotation, choices in AMBIGUOUS for value in choices)]


def exact(value: Any) -> Any:
    """What a round trip must preserve: value, types, and the order of iteration."""
    if isinstance(value, dict):
        return type(value), [(exact(key), exact(item)) for key, item in value.items()]
    return marks(value)
