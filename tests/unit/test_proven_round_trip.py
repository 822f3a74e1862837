"""The predicate for proven round trips: every value that it accepts must round-trip."""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langcache_cli.caching import UncacheableValueError
from langcache_cli.caching._values.codec import Codec
from langcache_cli.caching._values.proven_round_trip import proven_round_trip
from langcache_cli.caching._values.strict_equality import strictly_equal
from tests.unit.round_trip_types import (
    CUSTOMISED_MODELS,
    Box,
    Chain,
    Checked,
    Configured,
    Constrained,
    Described,
    Hidden,
    Level,
    Mixed,
    Model,
    Name,
    Normalised,
    OfPydantic,
    Page,
    Partly,
    Permission,
    Rich,
    Sets,
    Subclass,
    Word,
)

texts = st.text() | st.sampled_from(["", "\x00", "Infinity", "null", "é", "\U0001f600", '"\\'])
floats = st.floats(allow_nan=True, allow_infinity=True)
ints = st.integers() | st.sampled_from([2**63 - 1, 2**63, -(2**63), 10**5000])
words = st.builds(Word, ints, texts, texts | st.none(), st.booleans(), floats)
impostors = st.builds(Word, st.booleans(), ints, ints, ints, ints)
pages = st.builds(
    Page, st.lists(words, max_size=3), words | st.none(), st.lists(st.lists(texts, max_size=2), max_size=2)
)
subclasses = st.builds(Subclass, st.just([]), st.none(), st.just([]), ints)
anything = (
    words
    | pages
    | impostors
    | subclasses
    | texts
    | ints
    | floats
    | st.booleans()
    | st.none()
    | st.lists(words, max_size=2)
)
scalars = (
    texts | st.integers() | st.sampled_from([2**63 - 1, 2**63, -(2**63)]) | floats | st.booleans() | st.none()
)
plain = st.recursive(
    scalars | st.just((1,)) | st.just(Level.A1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.integers(), inner, max_size=3),
    max_leaves=8,
)
zones = st.none() | st.just(dt.UTC) | st.just(dt.timezone(dt.timedelta(hours=1), "CET"))
others = (
    st.datetimes(timezones=zones)
    | st.dates()
    | st.uuids()
    | st.decimals()
    | st.sampled_from([*Level, *Permission, *Mixed])
    | st.tuples(scalars)
    | st.tuples(scalars, scalars)
    | st.builds(Model, text=texts)
)
fields = st.fixed_dictionaries(
    {"id": scalars},
    optional={name: plain | others for name in Rich.model_fields if name != "id"}
    | {"pairs": st.dictionaries(texts, st.tuples(st.integers(), texts), max_size=2), "more": scalars},
)
rich = fields.map(lambda chosen: Rich.model_construct(_fields_set=None, **chosen))
small = st.integers(-2, 12)
constrained = st.fixed_dictionaries(
    {"id": small},
    optional={
        "text": st.none() | st.text(max_size=4),
        "items": st.lists(small, max_size=3),
        "ratio": st.floats(-3, 3) | small,
        "data": st.binary(max_size=3),
        "inner": st.none() | st.builds(Model, text=texts),
    },
).map(lambda chosen: Constrained.model_construct(_fields_set=None, **chosen))
whole = st.integers() | st.sampled_from([2**63 - 1, 2**63, -(2**63)])
sets = st.builds(
    Sets,
    st.sets(whole | st.booleans(), max_size=2),
    st.frozensets(texts, max_size=2),
    st.dictionaries(whole | st.booleans(), st.sampled_from(Level), max_size=2),
    st.dictionaries(st.uuids(), st.lists(st.none() | whole), max_size=2),
    st.dictionaries(st.dates() | st.datetimes(), st.booleans(), max_size=2),
    st.binary(),
)
every = (
    plain
    | others
    | rich
    | constrained
    | sets
    | st.sets(scalars, max_size=3)
    | st.frozensets(scalars, max_size=3)
    | st.dictionaries(scalars, scalars, max_size=3)
    | st.dictionaries(texts, plain, min_size=1, max_size=3)
    | st.lists(st.dictionaries(texts, plain, max_size=3), max_size=3)
    | st.binary()
    | st.lists(rich | others | constrained, max_size=2)
)


@pytest.mark.parametrize(
    "annotation", [Word, Page, list[Word], Word | None, str, int, float, bool, None, list[list[str]]]
)
@given(value=anything)
def test_a_proven_value_round_trips(annotation, value):
    codec = Codec(annotation)
    if codec._round_trip_is_proven(value):
        assert strictly_equal(codec.decode(codec.encode(value)), value)


@pytest.mark.parametrize(
    "annotation",
    [
        *(Rich, list[Rich], Any, dict, list, dict[str, Any], dict[str, int], list[Any], tuple[int, ...]),
        *(
            tuple[int, str],
            int | str | None,
            int | float,
            list[int] | str,
            Model | str | None,
            dict[str, Rich],
        ),
        *(dt.datetime, dt.date, UUID, Decimal, Level, Literal["a", "b"], list[dt.datetime | None]),
        *(Constrained, list[Constrained], Sets, bytes, set[int], frozenset[str], dict[int, str]),
        *(dict[UUID, int], dict[str, list[Any]], list[dict[str, Any]], dict[str, int | float | None]),
        *(list[dict], dict[str, dict[str, Any] | None], Annotated[int, pydantic.Field(gt=1)], list[Level]),
    ],
    ids=str,
)
@settings(max_examples=50)
@given(value=every)
def test_a_proven_value_of_a_richer_type_round_trips(annotation, value):
    codec = Codec(annotation)
    if codec._round_trip_is_proven(value):
        try:
            payload = codec.encode(value)
        except UncacheableValueError as error:
            reason = str(error.details)
            assert "surrogates" in reason or "not UTF-8" in reason
        else:
            assert strictly_equal(codec.decode(payload), value)


@given(pages)
def test_the_fast_path_encodes_the_same_bytes(page):
    codec = Codec(Page)
    if codec._round_trip_is_proven(page):
        quick = codec.encode(page)
        codec._round_trip_is_proven = None
        assert codec.encode(page) == quick


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Word, Word(1, "a")),
        (Page, Page([Word(1, "a", "b")], None, [["x"]])),
        (list[str], ["a"]),
        (str | None, None),
        (Any, {"a": [1, 2.5, None, {"b": [True, "x"]}]}),
        (Rich, Rich(id=1)),
        (list[Rich], [Rich(id=1, made=dt.datetime(2024, 1, 1, tzinfo=dt.UTC), uid=UUID(int=1), either="a")]),
        (dict[str, tuple[int, ...]], {"a": (1, 2)}),
        (int | str, "a"),
        (Constrained, Constrained(id=1)),
        (
            Constrained,
            Constrained(id=10, text="abc", items=[-1, 3], ratio=1.5, data=b"\xe4".decode("latin1").encode()),
        ),
        (
            Sets,
            Sets(
                {1},
                frozenset("a"),
                {1: Level.A1},
                {UUID(int=1): [1, None]},
                {dt.date(2024, 1, 1): True},
                b"\xff",
            ),
        ),
        (dict[str, Any], {"a": [1, {"b": None}]}),
        (list[dict[str, Any]], [{"a": 1, "b": "x"}] * 20),
        (list[dict[str, Any]], [{"a": 1}, {"b": 1}] * 20),
        (dict[str, dict[str, Any] | None], {"a": None, "b": {"c": 1}}),
    ],
)
def test_plain_values_are_proven(annotation, value):
    assert proven_round_trip(annotation)(value)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Word, Word(True, "a")),
        (Word, Word(2**63, "a")),
        (Word, Word(1, "a", score=float("nan"))),
        (Word, Word(1, "a", score=1)),
        (Page, Subclass([], None)),
        (list[Word], (Word(1, "a"),)),
        (str, None),
        (Any, {1: 2}),
        (Any, [float("inf")]),
        (Rich, Rich.model_construct(name="x")),
        (Rich, Rich(id=1, level="a1").model_copy(update={"level": "a1"})),
        (dt.datetime, dt.datetime(2024, 1, 1, fold=1)),  # noqa: DTZ001 - what fold is for
        (Decimal, Decimal("nan")),
        (Constrained, Constrained(id=1).model_copy(update={"id": 0})),
        (Constrained, Constrained(id=1).model_copy(update={"id": 11})),
        (Constrained, Constrained(id=1).model_copy(update={"text": ""})),
        (Constrained, Constrained(id=1).model_copy(update={"items": [-2]})),
        (Constrained, Constrained(id=1).model_copy(update={"items": [1, 2, 3]})),
        (Constrained, Constrained(id=1).model_copy(update={"ratio": 2.0})),
        (set[int], {True}),
        (dict[int, str], {True: "a"}),
        (dict[int, str], {2**63: "a"}),
        (dict[str, Any], {"a": (1,)}),
        (list[dict[str, Any]], [{"a": 1}, None]),
        (list[dict[str, Any]], [{"a": 1}] * 20 + [{"b": (1,)}]),
        (list[dict[str, Any]], [{"a": 1}] * 20 + [{Name.A: 1}]),
        (list[dict[str, Any]], [{"a": 1}] * 20 + [{"a": 2**63}]),
        (list[dict[str, Any]], [{"a": 1.0}] * 20 + [{"a": float("nan")}]),
    ],
)
def test_values_of_other_types_are_not_proven(annotation, value):
    assert not proven_round_trip(annotation)(value)


@pytest.mark.parametrize(
    "annotation",
    [
        *(
            Normalised,
            Checked,
            Described,
            Configured,
            OfPydantic,
            Hidden,
            Partly,
            Box[int],
            Box,
            Chain,
            *CUSTOMISED_MODELS,
        ),
        *(
            dt.datetime | str,
            dt.datetime | dt.date,
            list[int] | tuple[int, ...],
            list[int] | Model,
            Literal["a", 1],
            Permission,
            Mixed,
            dict[float, int],
            dict[Level, int],
            Annotated[int, pydantic.AfterValidator(abs)],
            Annotated[str, pydantic.StringConstraints(strip_whitespace=True)],
            Annotated[int, pydantic.Field(multiple_of=2)],
            Annotated[Decimal, pydantic.Field(gt=1)],
            Annotated[int | float, pydantic.Field(gt=1)],
            Annotated[int, pydantic.Field(gt=1, default=2)],
            object,
        ),
    ],
    ids=str,
)
def test_types_with_customisations_have_no_predicate(annotation):
    assert proven_round_trip(annotation) is None


def test_a_lone_surrogate_is_rejected():
    with pytest.raises(Exception, match="surrogates"):
        Codec(str).encode("\ud800")
