"""The changes that a worker makes, and what is invalidated after each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.history.records import Subject
from tests.history.subjects import ITEMS, Function, tag_key


@dataclass(frozen=True)
class Change:
    """A change of one subject in the database, and how it is invalidated.

    Attributes:
        way: How.
        function: The function whose values have changed.
        item: The item.
        tag: One of its tags, for ways that invalidate a tag; "" if it has none.
    """

    way: str
    function: Function
    item: int
    tag: str

    @property
    def subject(self) -> Subject:
        return self.function.name, self.item

    @property
    def key(self) -> str:
        return self.function.call.key_for(item=self.item)

    @property
    def tag_key(self) -> str:
        return tag_key(self.tag)

    @property
    def in_transaction(self) -> bool:
        """True if it is asked for before the commit."""
        return self.way.startswith("after commit")

    def subjects(self, functions: Iterable[Function]) -> list[Subject]:
        """All subjects that lose their entries."""
        every = [(function, item) for function in functions for item in range(ITEMS)]
        match self.way:
            case "pattern":
                affected = [(function, item) for function, item in every if item == self.item]
            case "type":
                affected = [(function, item) for function, item in every if function is self.function]
            case "tag" | "bare del of a tag" | "after commit of a tag":
                affected = [(function, item) for function, item in every if self.tag in function.tags(item)]
            case _:
                affected = [(self.function, self.item)]
        return [(function.name, item) for function, item in affected]
