"""Values as JSON and back: a decoded value has the value and types of the original, or encoding fails."""

import ast
import contextlib
import dataclasses
import datetime as dt
import math
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Generator, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    SecretStr,
    ValidationError,
    computed_field,
    field_validator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from typing_extensions import TypedDict

from langcache_cli.caching import UncacheableValueError
from langcache_cli.caching._errors import UndecodableEntryError
from langcache_cli.caching._values.codec import Codec
from tests.unit.values import BERLIN, Colour, Lemma, Level, OpenLemma, Point, Rank, Word, marks
from tests.unit.values import values as any_values

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


class Base(DeclarativeBase):
    pass


class WordRow(Base):
    __tablename__ = "words"
    id: Mapped[int] = mapped_column(primary_key=True)


AN_ID = uuid.UUID("12345678-1234-5678-1234-567812345678")
NOON = dt.datetime(2024, 6, 1, 12, 30, 15, 123456, tzinfo=dt.UTC)
FIRST, LAST = dt.datetime.min, dt.datetime.max  # noqa: DTZ901 - naive ones are meant
NAIVE = NOON.replace(tzinfo=None)

SURVIVORS: list[tuple[Any, Any]] = [
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
PAIRS = [*SURVIVORS, *((annotation, value) for annotation, choices in AMBIGUOUS for value in choices)]


NAMES = [f"{annotation}, {type(value).__name__}" for annotation, value in PAIRS]
"""Without the values: the order of a set differs between processes."""


def exact(value: Any) -> Any:
    """What a round trip must preserve: value, types, and the order of iteration."""
    if isinstance(value, dict):
        return type(value), [(exact(key), exact(item)) for key, item in value.items()]
    return marks(value)


@pytest.mark.parametrize(("annotation", "value"), PAIRS, ids=NAMES)
def test_a_hit_has_the_value_and_the_types_of_a_miss(annotation, value):
    codec = Codec(annotation)
    assert exact(codec.decode(codec.encode(value))) == exact(value)


@pytest.mark.parametrize(("annotation", "value"), PAIRS, ids=NAMES)
def test_another_codec_of_the_same_type_decodes_the_value(annotation, value):
    assert exact(Codec(annotation).decode(Codec(annotation).encode(value))) == exact(value)


ANNOTATIONS = [annotation for annotation, _ in PAIRS]
OPEN = [
    Any,
    object,
    list[Any],
    dict[str, Any],
    Word,
    Lemma,
    OpenLemma,
    Point,
    list[Word] | list[Lemma],
    Word | str,
]
"""Vague annotations: they accept values of every kind, few of which round-trip."""


@given(st.sampled_from(ANNOTATIONS), any_values)
def test_a_value_of_any_other_type_round_trips_or_is_rejected(annotation, value):
    exact_or_refused(annotation, value)


@given(st.sampled_from(ANNOTATIONS), st.sampled_from(PAIRS).map(lambda pair: pair[1]))
def test_a_value_of_a_similar_type_round_trips_or_is_rejected(annotation, value):
    exact_or_refused(annotation, value)


@pytest.mark.parametrize("annotation", OPEN, ids=str)
@settings(max_examples=40)
@given(value=any_values)
def test_a_value_with_a_vague_annotation_round_trips_or_is_rejected(annotation, value):
    exact_or_refused(annotation, value)


def exact_or_refused(annotation: Any, value: Any) -> None:
    codec = Codec(annotation)
    before = exact(value)
    with contextlib.suppress(UncacheableValueError):
        assert exact(codec.decode(codec.encode(value))) == before
    assert exact(value) == before


def first_pass(moment: Any) -> Any:
    return moment.replace(fold=0)


MATCHING: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers()),
    (float, st.floats()),
    (str, st.text(st.characters(exclude_categories=("Cs",)))),
    (bytes, st.binary()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (dt.datetime, st.datetimes(timezones=st.none() | st.just(dt.UTC)).map(first_pass)),
    (dt.time, st.times().map(first_pass)),
    (dt.date, st.dates()),
    (dt.timedelta, st.timedeltas()),
    (dict[int, list[float]], st.dictionaries(st.integers(), st.lists(st.floats()))),
    (bytes | str, st.binary() | st.text(st.characters(exclude_categories=("Cs",)))),
    (Decimal | float | int, st.integers() | st.floats() | st.decimals(allow_nan=False, allow_infinity=False)),
    (list[Sound], st.lists(st.builds(Sound, st.binary(), st.timedeltas()))),
    (Any, st.recursive(st.none() | st.floats() | st.integers() | st.booleans(), st.lists)),
]


@pytest.mark.parametrize(
    ("annotation", "strategy"), MATCHING, ids=[str(annotation) for annotation, _ in MATCHING]
)
@settings(max_examples=40)
@given(data=st.data())
def test_values_of_the_annotated_type_are_never_rejected(annotation, strategy, data):
    codec = Codec(annotation)
    value = data.draw(strategy)
    assert exact(codec.decode(codec.encode(value))) == exact(value)


class Special(Translation):
    extra: str = ""


class Text(str):
    __slots__ = ()


class Secretive(BaseModel):
    name: str
    _note: str = PrivateAttr("")


def with_a_note() -> Secretive:
    value = Secretive(name="a")
    value._note = "b"
    return value


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (float, 1),
        (int, True),
        (int, 1.0),
        (int, Rank.ONE),
        (bool, 1),
        (str, Level.A1),
        (str, Text("a")),
        (str, "\ud800"),
        (bytes, bytearray(b"a")),
        (Translation, Special(text="a")),
        (Translation, {"text": "a"}),
        (Translation, Translation.model_construct(text=7)),
        (list[Translation], [Special(text="a")]),
        (Open, Open(name="a", more=(1,))),
        (Secretive, with_a_note()),
        (dt.datetime, NOON.astimezone(BERLIN)),
        (dt.datetime, NOON.astimezone(dt.timezone(dt.timedelta(seconds=1)))),
        (dt.datetime, NAIVE.replace(fold=1)),
        (set[dt.datetime], {NOON.astimezone(BERLIN)}),
        (dict[dt.datetime, int], {NOON.astimezone(BERLIN): 1}),
        (dt.time, dt.time(1, tzinfo=BERLIN)),
        (dt.date, NOON),
        (Decimal, Decimal("NaN")),
        (Decimal, Decimal("sNaN")),
        (set[float], {math.nan}),
        (list[int], (1, 2)),
        (tuple[int, int], [1, 2]),
        (list[int], [1, None]),
        (tuple[str, tuple[int, ...]], Place("x")),
        (dict[str, int], OrderedDict(a=1)),
        (dict[int | str, int], {1: 1}),
        (deque[int], deque([1], maxlen=5)),
        (dict[str, Any], {"a": (1,)}),
        (dict[str, Any], {"a": NOON}),
        (list[Any], [b"a"]),
        (Any, (1,)),
        (Any, {1: "a"}),
        (Any, [b"a"]),
        (Any, Level.A1),
        (Any, NOON),
        (Any, Translation(text="a")),
        (Any, Text("a")),
        (uuid.UUID | str, 7),
        (Cat | Dog, Translation(text="a")),
        (SecretStr, SecretStr("hunter2")),
        (int, 10**5000),
        (Path, object()),
    ],
    ids=lambda item: getattr(item, "__name__", type(item).__name__),
)
def test_a_value_that_would_decode_differently_is_rejected(annotation, value):
    with pytest.raises(UncacheableValueError):
        Codec(annotation).encode(value)


@pytest.mark.parametrize("annotation", [Any, list[Any], dict[str, Any]])
@pytest.mark.parametrize("wrap", [lambda item: [item], lambda item: {"a": item}])
def test_a_value_that_contains_itself_is_rejected(annotation, wrap):
    loop = wrap(None)
    loop[next(iter(loop), 0) if isinstance(loop, dict) else 0] = loop
    with pytest.raises(UncacheableValueError):
        Codec(annotation).encode(loop)


def test_the_message_shows_both_values():
    with pytest.raises(UncacheableValueError, match=r"come back as \[1\], not as \(1,\)"):
        Codec(Sequence[int]).encode((1,))


def test_the_message_for_a_plain_value_suggests_an_annotation():
    with pytest.raises(UncacheableValueError, match="a UUID is not a plain JSON value; annotate"):
        Codec(Any).encode([AN_ID])


def test_the_message_for_bytes_in_a_model_suggests_a_configuration():
    with pytest.raises(UncacheableValueError, match="val_json_bytes='base64'"):
        Codec(PlainBinary).encode(PlainBinary(data=b"\xff"))


def test_a_failing_repr_does_not_fail_the_call():
    class Shy(Translation):
        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(UncacheableValueError, match=r"not as a .*Shy"):
        Codec(Translation).encode(Shy(text="a"))


def test_a_failing_comparison_does_not_fail_the_call():
    class Odd(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            raise KeyError("odd")

        __hash__ = str.__hash__

    with pytest.raises(UncacheableValueError):
        Codec(list[Any]).encode([Odd("a")])


class TestIterators:
    @pytest.mark.parametrize(
        "annotation",
        [
            Any,
            list[int],
            list[Any],
            Sequence[int],
            dict[str, Any],
            int,
            int | None,
            object,
            Open,
            tuple[int, ...],
        ],
    )
    @pytest.mark.parametrize("wrap", [lambda item: item, lambda item: [item], lambda item: {"a": item}])
    def test_an_iterator_is_rejected_without_being_consumed(self, annotation, wrap):
        numbers = (number for number in (1, 2, 3))
        with pytest.raises(UncacheableValueError):
            Codec(annotation).encode(wrap(numbers))
        assert list(numbers) == [1, 2, 3]

    @pytest.mark.parametrize(
        "hide", [lambda item: Open(name="a", x=item), Box, lambda item: Place("a", item)]
    )
    def test_an_iterator_in_a_model_dataclass_or_tuple_is_not_consumed(self, hide):
        numbers = iter([1, 2, 3])
        with pytest.raises(UncacheableValueError, match="list_iterator is used up by reading it"):
            Codec(object).encode(hide(numbers))
        assert list(numbers) == [1, 2, 3]

    def test_an_open_file_is_not_read(self, tmp_path):
        path = tmp_path / "lines"
        path.write_text("a\nb\n")
        with path.open() as lines:
            with pytest.raises(UncacheableValueError):
                Codec(list[str]).encode(lines)
            assert lines.read() == "a\nb\n"

    class Lazy(BaseModel):
        numbers: Iterable[int]

    @dataclasses.dataclass
    class Deep:
        inside: list[dict[str, Iterator[int]]]

    @pytest.mark.parametrize(
        "annotation",
        [
            Iterable[int],
            Iterator[int],
            Generator[int, None, None],
            AsyncIterator[int],
            Awaitable[int],
            list[Iterable[int]],
            dict[str, Iterator[int]] | None,
            Annotated[Iterable[int], "documented"],
            Iterable,
            Lazy,
            list[Lazy],
            Deep,
            Box[Iterator[int]],
        ],
    )
    def test_an_annotation_with_an_iterator_is_rejected_at_decoration(self, annotation):
        with pytest.raises(TypeError, match="used up by reading it; return a list instead"):
            Codec(annotation)


class Holder(BaseModel, arbitrary_types_allowed=True):
    row: WordRow


@dataclasses.dataclass
class Page:
    rows: list[WordRow]


@pytest.mark.parametrize(
    "annotation",
    [
        WordRow,
        list[WordRow],
        WordRow | None,
        dict[int, list[WordRow]],
        Annotated[WordRow, "x"],
        Holder,
        Page,
    ],
)
def test_an_orm_class_is_rejected_with_a_remedy(annotation):
    with pytest.raises(TypeError, match=r"WordRow is an ORM class.*from_attributes=True"):
        Codec(annotation)


def test_the_remedy_for_an_orm_class_works():
    class Cached(BaseModel, from_attributes=True):
        id: int

    codec = Codec(list[Cached])
    assert codec.decode(codec.encode([Cached.model_validate(WordRow(id=7))])) == [Cached(id=7)]


def test_a_type_that_pydantic_does_not_support_is_rejected_by_name():
    with pytest.raises(TypeError, match="range cannot be cached"):
        Codec(range)


def test_a_recursive_class_is_accepted():
    value = Tree(children=[Tree(children=[])])
    codec = Codec(Tree)
    assert codec.decode(codec.encode(value)) == value


class Tree(BaseModel):
    children: list["Tree"]


class TestDecoding:
    @pytest.mark.parametrize(
        ("annotation", "value"),
        [
            (list[int], [1]),
            (dict[str, list[int]], {"a": [1]}),
            (Entry, Entry(wordId=1)),
            (Sound, Sound(b"")),
            (Any, {"a": []}),
            (set[int], {1}),
            (list[int] | list[str], [1]),
        ],
    )
    def test_each_hit_is_a_new_object(self, annotation, value):
        codec = Codec(annotation)
        payload = codec.encode(value)
        first, second = codec.decode(payload), codec.decode(payload)
        assert first is not second is not value

    def test_a_caller_may_modify_a_decoded_value(self):
        codec = Codec(dict[str, list[int]])
        payload = codec.encode({"a": [1]})
        codec.decode(payload)["a"].append(2)
        assert codec.decode(payload) == {"a": [1]}

    @given(st.sampled_from([item for item, _ in PAIRS]), st.binary() | st.text().map(str.encode))
    def test_foreign_bytes_raise_only_undecodable(self, annotation, data):
        read(Codec(annotation), data)

    @given(st.sampled_from(PAIRS), st.data())
    def test_truncated_or_damaged_payloads_raise_only_undecodable(self, pair, data):
        annotation, value = pair
        payload = bytearray(Codec(annotation).encode(value))
        place = data.draw(st.integers(0, len(payload) - 1))
        read(Codec(annotation), bytes(payload[:place]))
        payload[place] ^= 1 << data.draw(st.integers(0, 7))
        read(Codec(annotation), bytes(payload))

    @given(st.sampled_from(PAIRS), st.sampled_from(PAIRS))
    def test_payloads_of_another_type_raise_only_undecodable(self, written, expected):
        read(Codec(expected[0]), Codec(written[0]).encode(written[1]))

    @pytest.mark.parametrize("payload", [b"", b"[" * 100_000, b"\xff", b"{", b"[1", b'{"a":1}x'])
    @pytest.mark.parametrize("annotation", [int, list[int], Any, Entry])
    def test_bytes_that_are_not_json_of_the_type_are_undecodable(self, annotation, payload):
        with pytest.raises(UndecodableEntryError):
            Codec(annotation).decode(payload)

    def test_a_validator_that_raises_makes_an_entry_undecodable(self):
        class Fragile(BaseModel):
            name: str

            @field_validator("name")
            @classmethod
            def _known(cls, name: str) -> str:
                return {"a": "a"}[name]

        codec = Codec(Fragile)
        assert codec.decode(codec.encode(Fragile(name="a"))) == Fragile(name="a")
        with pytest.raises(UndecodableEntryError):
            codec.decode(b'{"name":"b"}')

    def test_an_undecodable_error_does_not_hide_a_validation_error_type(self):
        assert not issubclass(UndecodableEntryError, ValidationError)


def read(codec: Codec, payload: bytes) -> None:
    with contextlib.suppress(UndecodableEntryError):
        codec.decode(payload)


def test_members_of_a_union_have_the_same_names_in_every_process():
    annotation = list[Annotated[int, Field(gt=0)]] | list[str]
    assert Codec(annotation).encode([1]) == b'{"is":"list","value":[1]}'
    assert Codec(annotation).encode(["a"]) == b'{"is":"list#1","value":["a"]}'


def test_unions_that_json_distinguishes_are_encoded_plainly():
    assert Codec(int | str | None).encode("a") == b'"a"'
    assert Codec(Translation | None).encode(None) == b"null"
    assert Codec(Level | None).encode(Level.A1) == b'"A1"'


def test_computed_fields_and_aliases_are_not_stored():
    entry = Entry(wordId=7)
    assert entry.first is None
    assert set(Codec(dict[str, Any]).decode(Codec(Entry).encode(entry))) == set(Entry.model_fields)


def test_a_cached_computed_field_does_not_prevent_caching():
    entry = Entry(wordId=7, translations=[Translation(text="a")])
    assert entry.first == "a"
    codec = Codec(Entry)
    assert codec.decode(codec.encode(entry)).first == "a"


FORBIDDEN = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "yaml"}


def test_no_module_imports_a_deserialiser_that_can_execute_code():
    package = files("langcache_cli")
    sources = list(Path(str(package)).rglob("*.py"))
    assert len(sources) > 20
    for path in sources:
        tree = ast.parse(path.read_text("utf-8"))
        imported = {
            name
            for node in ast.walk(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for name in [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
        }
        assert not {name.split(".")[0] for name in imported} & FORBIDDEN, path
