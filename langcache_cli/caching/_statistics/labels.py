"""Labels: the type, prefix and function that a number is counted under."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """What a number is counted under.

    Attributes:
        type: The cache type.
        prefix: The ``key_prefix`` of the function.
        function: The function's name in its keys.
    """

    type: str
    prefix: str
    function: str

    def __str__(self) -> str:
        return f"{self.type}:{self.prefix}:{self.function}"

    @classmethod
    def parse(cls, text: str) -> Label:
        """The label of ``str(label)``. Only the function may contain a colon."""
        return cls(*text.split(":", 2))


OUTBOX = Label("(outbox)", "", "")
"""The label of counters that are not per function: what a tag, a pattern or an outbox is about is many."""
