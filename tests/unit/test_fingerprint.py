"""Fingerprints of types: they change with the type, and are equal in all processes."""

import dataclasses
import datetime as dt
import os
import re
import subprocess
import sys
import uuid
from collections import namedtuple
from collections.abc import Callable
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, TypeVar, Union

import pytest
from pydantic import BaseModel, Field, create_model
from typing_extensions import TypeAliasType, TypedDict

from langcache_cli.caching._values.fingerprint import fingerprint

T = TypeVar("T")


class Word(BaseModel):
    text: str


def named(kind: Any) -> Any:
    """Give classes the same name, so that their fingerprints can differ only by their content."""
    kind.__module__, kind.__qualname__ = "app", "Word"
    return kind


def model(**fields: Any) -> Any:
    return named(create_model("Word", **fields))


def dataclass(**fields: Any) -> Any:
    return named(dataclasses.make_dataclass("Word", list(fields.items())))


def typed_dict(**fields: Any) -> Any:
    return named(TypedDict("Word", fields))


def named_tuple(**fields: Any) -> Any:
    return named(NamedTuple("Word", list(fields.items())))


def untyped(**fields: Any) -> Any:
    return named(namedtuple("Word", fields))  # noqa: PYI024 - what older code has


MAKERS: list[Callable[..., Any]] = [model, dataclass, typed_dict, named_tuple]


def shape(make: Callable[..., Any], **fields: Any) -> str:
    plain = {name: (kind, ...) for name, kind in fields.items()} if make is model else fields
    return fingerprint(list[make(**plain)])


@pytest.mark.parametrize("make", MAKERS)
def test_it_changes_with_the_name_the_type_and_the_number_of_fields(make):
    shapes = [
        shape(make, text=str),
        shape(make, text=str, rank=int),
        shape(make, text=str, rank=int | None),
        shape(make, text=bytes),
        shape(make, word=str),
        shape(make, text=list[str]),
        shape(make, text=Word),
        shape(make, text=shape_with(int)),
        shape(make, text=shape_with(str)),
    ]
    assert len(set(shapes)) == len(shapes)


def shape_with(kind: Any) -> Any:
    return model(inner=(kind, ...))


@pytest.mark.parametrize("make", MAKERS)
def test_it_is_equal_for_an_equal_definition(make):
    assert shape(make, text=str, rank=int | None) == shape(make, text=str, rank=Optional[int])  # noqa: UP045


def test_it_changes_with_the_order_of_an_untyped_named_tuple():
    assert shape(untyped, x=Any, y=Any) != shape(untyped, y=Any, x=Any)


def test_it_changes_with_the_members_and_values_of_an_enum():
    shapes = [
        fingerprint(named(kind("Word", members)))
        for kind in (Enum,)
        for members in (
            {"A": 1},
            {"A": "1"},
            {"A": 2},
            {"B": 1},
            {"A": 1, "B": 2},
            {"A": Decimal(1)},
            {"A": (1,)},
        )
    ]
    assert len(set(shapes)) == len(shapes)
    assert fingerprint(named(StrEnum("Word", {"A": "a"}))) != fingerprint(named(StrEnum("Word", {"A": "b"})))
    assert fingerprint(named(IntEnum("Word", {"A": 1}))) != fingerprint(named(IntEnum("Word", {"A": 2})))


@dataclasses.dataclass
class Box(Generic[T]):
    content: T


class Page(BaseModel, Generic[T]):
    items: list[T]


def box(**fields: Any) -> Any:
    kind = dataclasses.make_dataclass("Word", list(fields.items()), bases=(Generic[T],))
    return named(kind)[int]


def test_it_changes_with_the_fields_and_parameters_of_a_generic_class():
    assert fingerprint(box(content=T)) != fingerprint(box(content=T, rank=int))
    assert fingerprint(Box[int]) != fingerprint(Box[str])
    assert fingerprint(Page[int]) != fingerprint(Page[str])


def test_it_changes_with_the_type_behind_an_alias_or_new_type():
    def alias(kind: Any) -> Any:
        return TypeAliasType("Words", kind)

    assert fingerprint(alias(list[int])) != fingerprint(alias(list[str]))
    assert fingerprint(NewType("WordId", int)) != fingerprint(NewType("WordId", str))


JSON = TypeAliasType("JSON", "dict[str, JSON] | list[JSON] | str | None")


class Tree(BaseModel):
    children: list["Tree"]
    parent: Optional["Tree"] = None


@pytest.mark.parametrize("annotation", [JSON, list[JSON], Tree, dict[str, Tree]])
def test_a_recursive_type_has_a_fingerprint(annotation):
    assert re.fullmatch("[0-9a-f]{8}", fingerprint(annotation))


DIFFERENT = [
    *(Any, None, int, str, bytes, bool, float, Decimal, uuid.UUID, dt.date, dt.datetime, dt.time, object),
    *(list, list[int], list[str], list[list[int]], set[int], frozenset[int], dict[str, int], dict[int, str]),
    *(tuple[int], tuple[int, ...], tuple[int, int], tuple[()], int | None, int | str, int | str | None),
    *(Literal["a"], Literal["b"], Literal[1], Literal["1"], Literal["a", "b"], Word, Word | None, list[Word]),
]


def test_different_annotations_have_different_fingerprints():
    assert len({fingerprint(annotation) for annotation in DIFFERENT}) == len(DIFFERENT)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (Optional[int], int | None),  # noqa: UP045 - both spellings
        (Union[int, str], int | str),  # noqa: UP007 - both spellings
        (Annotated[int, Field(gt=0)], int),
        (list[Annotated[int, "x"]], list[int]),
    ],
)
def test_equivalent_spellings_and_metadata_have_the_same_fingerprint(left, right):
    assert fingerprint(left) == fingerprint(right)


def test_it_does_not_depend_on_defaults():
    assert fingerprint(model(text=(str, "a"))) == fingerprint(model(text=(str, "b"))) == shape_of_text()


def shape_of_text() -> str:
    return fingerprint(model(text=(str, ...)))


IN_ANOTHER_PROCESS = """
import datetime, enum, dataclasses, uuid
from typing import Literal
from pydantic import BaseModel
from langcache_cli.caching._values.fingerprint import fingerprint

class Handler(enum.Enum):
    PLAIN = "plain"
    SET = frozenset({"a", "b", "c", "d"})
    OBJECT = object()

@dataclasses.dataclass
class Sound:
    data: bytes
    handler: Handler

class Word(BaseModel):
    id: uuid.UUID
    sounds: list[Sound] | None
    added: datetime.datetime
    kind: Literal["noun", "verb"]

print(fingerprint(dict[str, list[Word | None]]))
"""


def test_it_is_the_same_in_every_process():
    found = {
        subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS],
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=os.path.dirname(os.path.dirname(os.path.dirname(__file__))),  # noqa: PTH120
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(found) == 1
    assert re.fullmatch("[0-9a-f]{8}\n", found.pop())


def test_known_fingerprints_do_not_change():
    known = {int: "75f99e80", Any: "2ebbbd1d", dict[str, list[dt.datetime | None]]: "54eeafd1"}
    assert {annotation: fingerprint(annotation) for annotation in known} == known
