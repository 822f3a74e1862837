"""Large values are JSON in lines: encoded and decoded in portions, and the same as if done at once."""

import asyncio
import contextlib
import dataclasses
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Optional, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import TypeAliasType

from langcache_cli.caching import UncacheableValueError
from langcache_cli.caching._errors import UndecodableEntryError
from langcache_cli.caching._values.codec import Codec
from langcache_cli.caching._values.fields_set import PREFIX, split_fields_sets
from langcache_cli.caching._values.large import line_reader, line_writer, portions, weight
from langcache_cli.caching._values.large.portions import at_once
from langcache_cli.caching._values.strict_equality import strictly_equal
from tests.unit.codec_cases import PAIRS, exact
from tests.unit.values import values as any_values


@pytest.fixture(autouse=True)
def _everything_is_large(monkeypatch):
    monkeypatch.setattr(line_writer, "HEAVY", 3)
    monkeypatch.setattr(line_reader, "HEAVY", 3)
    monkeypatch.setattr(line_reader, "_ITEMS_A_STEP", 3)
    monkeypatch.setattr(line_reader, "_MANY_PARTS", 1)
    monkeypatch.setattr(line_writer, "PORTION_BYTES", 30)
    monkeypatch.setattr(line_writer, "_FIRST_COUNT", 1)


class Item(BaseModel):
    id: int
    text: str = ""
    note: str | None = None


class Marked(Item):
    """Would come back as an `Item`."""


class Page(BaseModel):
    total: int
    items: list[Item] = []
    by_name: dict[str, Item] = {}
    next: Optional["Page"] = None


@dataclasses.dataclass(frozen=True, slots=True)
class Book:
    title: str
    pages: tuple[Page, ...] = ()
    index: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    data: Any = None


@dataclasses.dataclass
class Shelf:
    books: list[Book]
    first: Book | None = None
    blobs: list[bytes] = dataclasses.field(default_factory=list)


class Stamped(BaseModel):
    id: uuid.UUID = Field(default_factory=uuid.uuid4)
    text: str = "a"


class StampedPage(BaseModel):
    items: list[Stamped] = []
    more: dict[str, Stamped] = {}


class Binary(BaseModel):
    blobs: list[bytes]
    anything: Any = None


class Sorted(BaseModel):
    numbers: list[int]

    @model_validator(mode="after")
    def _sort(self) -> "Sorted":
        self.numbers.sort()
        return self


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    numbers: list[int]


def items(n: int) -> list[Item]:
    return [Item(id=i, text="x" * (i % 7)) if i % 2 else Item(id=i) for i in range(n)]


def page(n: int, following: Page | None = None) -> Page:
    return Page(total=n, items=items(n), by_name={f"k{i}": Item(id=i) for i in range(n)}, next=following)


LARGE: list[tuple[Any, Any]] = [
    (list[int], list(range(50))),
    (list[int] | None, list(range(50))),
    (list[Item], items(40)),
    (tuple[Item, ...], tuple(items(40))),
    (set[int], set(range(40))),
    (frozenset[str], frozenset(map(str, range(40)))),
    (Sequence[Item], items(40)),
    (Mapping[str, int], {str(i): i for i in range(40)}),
    (dict[str, Item], {f"k\n{i}": Item(id=i) for i in range(40)}),
    (dict[int, Item], {i: Item(id=i) for i in range(40)}),
    (dict[int, list[int]], {i: list(range(30)) for i in range(4)}),
    (dict[str, list[Item]], {'a"\\': items(20), "b": [], "c": items(2), "[": items(9)}),
    (list[list[int]], [[], list(range(30)), [1], list(range(9))]),
    (Page, page(30)),
    (Page, page(30, page(2, page(20)))),
    (Page, Page(total=1)),
    (Page | None, page(9)),
    (list[Page], [page(0), page(20), page(3), page(9)]),
    (Book, Book("t", (page(9), page(0), page(1)), {"a": [1], "b": list(range(20))}, {"x": [[1] * 20, {}]})),
    (Shelf, Shelf([Book("t", (page(20),))], Book("u", (page(9),)), [b"\xff" * 5] * 9)),
    (Any, {"items": [{"id": i, "text": "[{"} for i in range(40)], "total": 1, "none": []}),
    (Any, [[[[list(range(20))]]]]),
    (dict[str, Any], {"items": [{"id": i} for i in range(40)], "total": 1}),
    (list[dict[str, Any]], [{"a": list(range(20))}, {}, {"b": 1}]),
    (list[Item] | str | None, items(20)),
    (Binary, Binary(blobs=[b"ab"] * 9, anything=[1.5] * 9)),
    (list[uuid.UUID | str], [uuid.UUID(int=1), "a"] * 9),
    (Sorted, Sorted(numbers=list(range(40)))),
    (list[Sorted], [Sorted(numbers=list(range(40)))] * 9),
    (Open, Open(numbers=[1] * 9, more=[1] * 9)),
    (list[Stamped], [Stamped(), Stamped(text="b")] * 20),
    (
        StampedPage,
        StampedPage(items=[Stamped(), Stamped(text="b")] * 9, more={str(i): Stamped() for i in range(9)}),
    ),
    (list[StampedPage], [StampedPage(items=[Stamped()] * 9), StampedPage(), StampedPage(more={})]),
]
NAMES = [f"{index} {annotation}" for index, (annotation, _) in enumerate(LARGE)]


@pytest.mark.parametrize(("annotation", "value"), LARGE, ids=NAMES)
def test_a_large_value_comes_back_the_same(annotation, value):
    codec = Codec(annotation)
    payload = at_once(codec._large.encode(value))
    assert strictly_equal(at_once(codec._large.decode(payload)), value)


@pytest.mark.parametrize(("annotation", "value"), LARGE, ids=NAMES)
def test_it_is_what_earlier_versions_wrote_but_for_line_breaks(annotation, value):
    codec = Codec(annotation)
    lines, whole = at_once(codec._large.encode(value)), codec.encode(value)
    assert strictly_equal(codec.decode(lines), value), "an earlier version decodes it at once"
    assert strictly_equal(at_once(codec._large.decode(whole)), value)
    texts = [split_fields_sets(one)[1] if one[:1] == PREFIX else one for one in (lines, whole)]
    assert all(json.loads(text) is not None for text in texts)
    assert (lines[:1] == PREFIX) == (whole[:1] == PREFIX)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        one
        for one in LARGE
        if not isinstance(one[1], (set, frozenset, Sorted, Open)) and one[1] != Page(total=1)
    ],
)
def test_it_is_done_in_portions(annotation, value):
    codec = Codec(annotation)
    steps = codec._large.encode(value)
    n_encoding = sum(1 for _ in steps)
    payload = at_once(codec._large.encode(value))
    assert n_encoding >= 2
    assert sum(1 for _ in codec._large.decode(payload)) >= 2
    longest = max(payload.removeprefix(b"~").split(b"\n"), key=len)
    assert payload[:1] == PREFIX or len(longest) < len(payload) / 2


@given(st.sampled_from([annotation for annotation, _ in PAIRS + LARGE]), any_values)
def test_any_other_value_comes_back_or_is_refused(annotation, value):
    same_or_refused(annotation, value)


@given(
    st.sampled_from([annotation for annotation, _ in PAIRS + LARGE]),
    st.sampled_from([value for _, value in PAIRS + LARGE]),
)
def test_a_value_of_a_similar_type_comes_back_or_is_refused(annotation, value):
    same_or_refused(annotation, value)


def same_or_refused(annotation: Any, value: Any) -> None:
    codec, before = Codec(annotation), exact(value)
    try:
        payload = asyncio.run(codec.encode_large(value))
    except UncacheableValueError:
        with pytest.raises(UncacheableValueError):
            codec.encode(value)
    else:
        codec.encode(value)
        assert exact(asyncio.run(codec.decode_large(payload))) == before
        assert exact(codec.decode(payload)) == before
    assert exact(value) == before


@given(st.sampled_from(LARGE), st.data())
def test_damaged_lines_raise_only_undecodable(pair, data):
    annotation, value = pair
    codec = Codec(annotation)
    payload = bytearray(at_once(codec._large.encode(value)))
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] ^= 1 << data.draw(st.integers(0, 7))
    for damaged in (bytes(payload), bytes(payload[:place]), bytes(payload) + b"\n1"):
        with contextlib.suppress(UndecodableEntryError):
            asyncio.run(codec.decode_large(damaged))


@given(st.sampled_from(LARGE), st.sampled_from(LARGE))
def test_lines_of_another_type_raise_only_undecodable(written, expected):
    payload = at_once(Codec(written[0])._large.encode(written[1]))
    with contextlib.suppress(UndecodableEntryError):
        asyncio.run(Codec(expected[0]).decode_large(payload))


@pytest.mark.parametrize(
    "text",
    [
        b"[\n  1,\n  2\n]",
        b"[ 1,\r\n\t2 ]",
        b"[\n\t1,\n\t2\n]\n",
        b"\n[1,2]",
        b"[\n\t1,2\n]",
        b"[\n\t1,\n\t2\n]",
    ],
)
def test_json_that_a_person_has_laid_out_is_decoded(text):
    assert asyncio.run(Codec(list[int]).decode_large(text)) == [1, 2]


@pytest.mark.parametrize(
    "annotation", [list[Item], dict[str, Item], Page, Page | None, tuple[Item, ...]], ids=str
)
@pytest.mark.parametrize(
    "text",
    [
        b"[" + b"{}," * 50_000 + b"{}]",
        b'{"items":[' + b"{}," * 50_000 + b'{}],"total":1}',
        b'{"next":{"items":[' + b"{}," * 50_000 + b'{}],"total":1},"total":1}',
    ],
    ids=["list", "page", "next"],
)
def test_json_of_another_type_ends_at_the_first_wrong_part(annotation, text):
    with pytest.raises(UndecodableEntryError) as caught:
        asyncio.run(Codec(annotation).decode_large(text))
    assert len(str(caught.value)) < 200
    error: BaseException | None = caught.value
    while error is not None:
        assert not isinstance(error, ValidationError) or error.error_count() < 10
        error = error.__cause__


def test_each_part_is_proven():
    wrong = [*items(20), Marked(id=7), *items(3)]
    with pytest.raises(UncacheableValueError, match=r"not as a Marked, at \[20\]"):
        at_once(Codec(list[Item])._large.encode(wrong))
    with pytest.raises(UncacheableValueError, match=r"not as a Marked, at items\[20\]"):
        at_once(
            Codec(Page)._large.encode(
                Page.model_construct(_fields_set={"items", "total"}, total=1, items=wrong)
            )
        )


@dataclasses.dataclass
class Documented:
    first: Annotated[int, {"no": "hash"}]
    others: list[Annotated[int, ["no hash"]]]


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Annotated[int, {}], 1),
        (Annotated[list[int], {}], [1] * 20),
        (list[Annotated[int, {}]], [1] * 20),
        (Documented, Documented(1, [1] * 20)),
        (list[Documented], [Documented(1, [1])] * 20),
        (dict[str, Annotated[Any, {}]], {"a": [1] * 20}),
    ],
)
def test_annotations_without_a_hash_are_possible(annotation, value):
    codec = Codec(annotation)
    assert not codec.is_large(value)
    assert at_once(codec._large.decode(at_once(codec._large.encode(value)))) == value


def test_a_value_that_contains_itself_is_refused():
    circle: list[Any] = [1] * 20
    circle.append(circle)
    with pytest.raises(UncacheableValueError, match="contains itself"):
        asyncio.run(Codec(Any).encode_large(circle))


def test_a_dict_that_changes_meanwhile_is_refused():
    value = {str(i): [i] * 20 for i in range(9)}
    steps = Codec(dict[str, list[int]])._large.encode(value)
    next(steps)
    value.clear()
    with pytest.raises(RuntimeError):
        at_once(steps)


def test_attributes_besides_the_fields_are_refused():
    shelf = Shelf([Book("t", (page(20),))])
    shelf.more = 1  # type: ignore[attr-defined]
    with pytest.raises(UncacheableValueError):
        at_once(Codec(Shelf)._large.encode(shelf))


@pytest.mark.parametrize("annotation", [str, str | None, Any])
def test_a_long_string_is_encoded_in_portions_too(annotation):
    text = '"\\\n\0é\u2028\U0001f600' * 150_000
    codec = Codec(annotation)
    assert codec.is_large(text)
    steps = codec._large.encode(text)
    assert sum(1 for _ in steps) > 2
    assert asyncio.run(codec.encode_large(text)) == codec.encode(text)
    with pytest.raises(UncacheableValueError, match="surrogates"):
        asyncio.run(codec.encode_large(text + "\ud800"))


async def test_the_event_loop_runs_in_between(monkeypatch):
    monkeypatch.setattr(portions, "SLICE_SECONDS", 0)
    codec, turns = Codec(list[Item]), 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    payload = await codec.encode_large(items(200))
    encoding, turns = turns, 0
    assert await codec.decode_large(payload) == items(200)
    counting.cancel()
    assert encoding > 10
    assert turns > 10


class TestWeight:
    def test_it_counts_what_a_value_consists_of(self):
        assert weight.weight(([1, [2, 3]],)) == 5
        assert weight.weight(({"a": {"b": 1}},)) == 3
        assert weight.weight((Item(id=1),)) == 4
        assert weight.weight((Book("a"),)) == 5

    def test_it_ends_early(self):
        assert weight.weight(([0] * 1_000_000,)) == weight.HEAVY + 1
        circle: list[Any] = []
        circle.append(circle)
        assert weight.weight((circle,)) == weight.HEAVY + 1

    @pytest.mark.parametrize("annotation", [int, bytes, None, Item, Item | None])
    def test_values_of_some_types_are_never_large(self, annotation):
        assert weight.heavy_test(annotation) is None

    @pytest.mark.parametrize(("annotation", "value"), LARGE, ids=NAMES)
    def test_large_and_small_values_are_told_apart(self, annotation, value):
        is_heavy = weight.heavy_test(annotation)
        assert is_heavy is not None
        assert not is_heavy(value)
        assert not is_heavy(None)

    @pytest.mark.parametrize(
        ("annotation", "value"),
        [
            (list[int], [1] * 5000),
            (list[Item] | None, items(1500)),
            (Any, {"a": [1] * 5000}),
            (Page, page(1000)),
            (dict[str, list[int]], {str(i): [1] * 50 for i in range(100)}),
        ],
    )
    def test_many_parts_are_large(self, annotation, value):
        assert Codec(annotation).is_large(value)


T = TypeVar("T")
Rows = TypeAliasType("Rows", list[T], type_params=(T,))


def test_the_alias_of_a_list_has_the_type_of_its_argument():
    codec, rows = Codec(Rows[Item]), [Item(id=number) for number in range(20)]
    as_whole = json.dumps([{"id": number} for number in range(20)]).encode()
    for payload in (at_once(codec._large.encode(rows)), as_whole):
        assert strictly_equal(at_once(codec._large.decode(payload)), rows)


class Totals(BaseModel):
    items: list[Item]
    count: int = Field(default_factory=lambda data: len(data["items"]))


class Either(BaseModel):
    items: list[Item | Marked] = []


@pytest.mark.parametrize(
    "value", [Totals(items=[Item(id=1)] * 9), Either(items=[Item(id=1)] * 9)], ids=["default", "union"]
)
def test_a_model_is_encoded_as_pydantic_does_and_decoded_with_what_its_defaults_depend_on(value):
    codec = Codec(type(value))
    for payload in (at_once(codec._large.encode(value)), codec.encode(value)):
        assert strictly_equal(codec.decode(payload), value)
        assert strictly_equal(at_once(codec._large.decode(payload)), value)


def test_a_line_that_is_lost_moved_or_repeated_is_an_error():
    codec, page = Codec(Page), Page(total=1, items=[Item(id=number) for number in range(20)])
    lines = at_once(codec._large.encode(page)).split(b"\n")
    assert len(lines) > 8
    for place in range(1, len(lines)):
        moved = [*lines[: place - 1], lines[place], lines[place - 1], *lines[place + 1 :]]
        for damaged in ([*lines[:place], *lines[place + 1 :]], moved):
            payload = b"\n".join(damaged)
            try:
                expected = codec.decode(payload)
            except UndecodableEntryError:
                with pytest.raises(Exception):  # noqa: B017, PT011 - whichever; a miss follows
                    at_once(codec._large.decode(payload))
            else:
                assert strictly_equal(at_once(codec._large.decode(payload)), expected)
