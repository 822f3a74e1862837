"""Types and values that can never be cached: iterators and ORM objects."""

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Generator, Iterable, Iterator, Sequence
from typing import Annotated, Any

import pytest
from pydantic import (
    BaseModel,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from langcache_cli.caching import UncacheableValueError
from langcache_cli.caching._values.codec import Codec
from tests.unit.codec_cases import Box, Open, Place


class Base(DeclarativeBase):
    pass


class WordRow(Base):
    __tablename__ = "words"
    id: Mapped[int] = mapped_column(primary_key=True)


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
        with pytest.raises(UncacheableValueError, match="list_iterator is consumed by iterating over it"):
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
        with pytest.raises(TypeError, match="consumed by iterating over it; return a list instead"):
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
