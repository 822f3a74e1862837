"""Large values of many types, which are taken apart where they can be."""

import dataclasses
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Item(BaseModel):
    id: int
    text: str = ""
    note: str | None = None


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
