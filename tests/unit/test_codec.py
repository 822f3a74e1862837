"""Values as JSON and back: a decoded value has the value and types of the original, or encoding fails."""

import ast
import contextlib
import datetime as dt
import typing
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    field_validator,
)

from langcache_cli.caching import UncacheableValueError
from langcache_cli.caching._errors import UndecodableEntryError
from langcache_cli.caching._values.codec import Codec
from tests.unit.codec_cases import PAIRS, Entry, Sound, Translation, exact
from tests.unit.values import Lemma, Level, OpenLemma, Point, Word
from tests.unit.values import values as any_values

NAMES = [f"{annotation}, {type(value).__name__}" for annotation, value in PAIRS]
"""Without the values: the order of a set differs between processes."""


@pytest.mark.parametrize(("annotation", "value"), PAIRS, ids=NAMES)
def test_a_hit_has_the_value_and_the_types_of_a_miss(annotation, value):
    codec = Codec(annotation)
    assert exact(codec.decode(codec.encode(value))) == exact(value)


@pytest.mark.parametrize(("annotation", "value"), PAIRS, ids=NAMES)
def test_another_codec_of_the_same_type_decodes_the_value(annotation, value):
    assert exact(Codec(annotation).decode(Codec(annotation).encode(value))) == exact(value)


BARE = [
    (typing.List, [1, "a"]),  # noqa: UP006 - as older code has it
    (typing.Dict, {"a": 1}),  # noqa: UP006
    (typing.Set, {1}),  # noqa: UP006
    (typing.Tuple, (1,)),  # noqa: UP006
    (typing.Mapping, {"a": 1}),
    (typing.Sequence, [1]),
    (tuple[()], ()),
]


@pytest.mark.parametrize(("annotation", "value"), BARE, ids=str)
def test_a_container_without_arguments_comes_back_or_is_refused(annotation, value):
    codec = Codec(annotation)
    assert not codec.is_large(value)
    with contextlib.suppress(UncacheableValueError):
        assert exact(codec.decode(codec.encode(value))) == exact(value)


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
    # Nor are fields that were not set: their defaults are not part of the value.
    assert Codec(dict[str, Any]).decode(Codec(Entry).encode(entry)) == {"word_id": 7}


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
