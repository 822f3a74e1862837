"""Large values are JSON in lines: encoded and decoded in portions, and the same as if done at once."""

import asyncio
import dataclasses
import json
from typing import Annotated, Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType

from langcache_cli.caching import UncacheableValueError
from langcache_cli.caching._values.codec import Codec
from langcache_cli.caching._values.fields_set import PREFIX, split_fields_sets
from langcache_cli.caching._values.large import portions
from langcache_cli.caching._values.large.portions import at_once
from langcache_cli.caching._values.strict_equality import strictly_equal
from tests.unit.codec_cases import PAIRS, exact
from tests.unit.large_value_cases import LARGE, NAMES, Book, Item, Open, Page, Shelf, Sorted, items, page
from tests.unit.values import values as any_values

pytestmark = pytest.mark.usefixtures("everything_is_large")


class Marked(Item):
    """Would come back as an `Item`."""


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
