"""The predicate for proven round trips: every value that it accepts must round-trip."""

import dataclasses
from typing import Annotated, Any, Generic, Literal, Optional, TypeVar

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching._values.codec import Codec
from langcache_cli.caching._values.proven_round_trip import proven_round_trip
from langcache_cli.caching._values.strict_equality import strictly_equal

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Word:
    id: int
    text: str
    note: str | None = None
    common: bool = False
    score: float = 0.0


@dataclasses.dataclass
class Page:
    words: list[Word]
    following: Optional["Word"]
    tags: list[list[str]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Normalised:
    text: str

    def __post_init__(self) -> None:
        self.text = self.text.strip()


@dataclasses.dataclass
class Checked:
    text: Annotated[str, pydantic.AfterValidator(str.upper)]


@dataclasses.dataclass
class Described:
    text: str = pydantic.Field(alias="other", default="x")


@dataclasses.dataclass
class Configured:
    __pydantic_config__ = pydantic.ConfigDict(str_strip_whitespace=True)
    text: str


@pydantic.dataclasses.dataclass
class OfPydantic:
    text: str


@dataclasses.dataclass
class Hidden:
    _text: str


@dataclasses.dataclass
class Partly:
    text: str = dataclasses.field(init=False, default="a")


@dataclasses.dataclass
class Box(Generic[T]):
    content: T


@dataclasses.dataclass
class Chain:
    following: Optional["Chain"]


class Model(pydantic.BaseModel):
    text: str


@dataclasses.dataclass
class Subclass(Page):
    extra: int = 0


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


@pytest.mark.parametrize(
    "annotation", [Word, Page, list[Word], Word | None, str, int, float, bool, None, list[list[str]]]
)
@given(value=anything)
def test_a_proven_value_round_trips(annotation, value):
    codec = Codec(annotation)
    if codec._round_trip_is_proven(value):
        assert strictly_equal(codec.decode(codec.encode(value)), value)


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
            Model,
        ),
        *(
            int | str,
            Any,
            dict[str, int],
            Literal["a"],
            tuple[int, ...],
            list,
            Annotated[int, pydantic.Field(gt=1)],
        ),
    ],
    ids=str,
)
def test_types_with_customisations_have_no_predicate(annotation):
    assert proven_round_trip(annotation) is None


def test_a_lone_surrogate_is_rejected():
    with pytest.raises(Exception, match="surrogates"):
        Codec(str).encode("\ud800")
