"""Unions: JSON distinguishes the members of some; the members of others are encoded with a name."""

import datetime as dt
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pytest
from pydantic import BaseModel, Discriminator, Field, RootModel, Tag

from langcache_cli.caching._values.ambiguous_unions import disambiguate_unions
from tests.unit.values import Colour, Lemma, Level, Point, Rank, Word


class Numbers(RootModel[list[int]]):
    pass


class Empty(Enum):
    pass


class Custom:
    pass


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


def named(annotation: Any) -> Any:
    return disambiguate_unions(annotation, lambda member: None)


PLAIN = [
    int,
    str | None,
    int | str | None,
    int | float | bool | str | list[int] | dict[str, int] | None,
    Level | int | None,
    Rank | str,
    Literal["a", "b"] | None,
    Literal["a"] | int,
    Literal[1, "a"] | None,
    Colour | None,
    Any | None,
    Numbers | None,
    Word | None,
    Lemma | list[Lemma] | str,
    tuple[int, str] | str,
    Sequence[int] | str,
    Mapping[str, int] | list[int],
    Path | None,
    Literal["a | b"],
    Annotated[Cat | Dog, Field(discriminator="kind")],
    Annotated[
        Annotated[Cat, Tag("cat")] | Annotated[Dog, Tag("dog")], Discriminator(lambda value: value["kind"])
    ],
]


# Numbered: the repr of a function in an annotation differs between processes.
@pytest.mark.parametrize("annotation", PLAIN, ids=range(len(PLAIN)))
def test_unions_that_json_distinguishes_are_unchanged(annotation):
    assert named(annotation) == annotation


AMBIGUOUS = [
    uuid.UUID | str,
    bytes | str,
    Path | str,
    dt.date | dt.datetime,
    dt.timedelta | Decimal | None,
    Level | str,
    Rank | int,
    Colour | str,
    Colour | bool,
    Empty | int,
    Literal["a"] | str,  # noqa: PYI051 - redundant for a type checker, not for a value
    Literal[1] | int,  # noqa: PYI051
    Literal[True] | bool,  # noqa: PYI051
    Literal[1, "a"] | dt.date,
    list[int] | tuple[int, ...],
    list[int] | list[str],
    set[int] | frozenset[int],
    Sequence[int] | list[int],
    deque[int] | list[int],
    Point | list[int],
    Word | Lemma,
    Word | dict[str, int],
    Mapping[str, int] | dict[str, str],
    Numbers | list[int],
    Any | int,
    Custom | int,
    Annotated[uuid.UUID, "x"] | Annotated[str, "y"],
]


@pytest.mark.parametrize("annotation", AMBIGUOUS, ids=str)
@pytest.mark.parametrize(
    "inside",
    [
        lambda annotation: annotation,
        lambda annotation: list[annotation],
        lambda annotation: dict[str, annotation],
        lambda annotation: tuple[annotation, ...],
        lambda annotation: tuple[int, annotation],
        lambda annotation: list[dict[str, annotation]] | None,
        lambda annotation: Annotated[annotation, "documented"],
    ],
)
def test_ambiguous_members_are_named_at_every_level(annotation, inside):
    assert "_NamedUnion" in repr(named(inside(annotation)))


def test_keys_of_a_dict_are_unchanged_because_they_cannot_carry_a_name():
    assert named(dict[uuid.UUID | str, int]) == dict[uuid.UUID | str, int]
    assert "_NamedUnion" in repr(get_args(named(dict[uuid.UUID | str, bytes | str]))[1])


def test_annotations_without_unions_are_unchanged():
    for annotation in (
        tuple[()],
        list,
        dict,
        tuple[int, ...],
        Callable[[int], str],
        Annotated[list[int], "x"],
    ):
        assert named(annotation) == annotation
