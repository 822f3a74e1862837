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

    @property
    def is_plain(self) -> bool:
        """True for what `Cache.get` and `Cache.set` are asked for: no function is behind these keys."""
        return self.prefix == _PLAIN

    @classmethod
    def parse(cls, text: str) -> Label:
        """The label of ``str(label)``. Only the function may contain a colon."""
        return cls(*text.split(":", 2))


_PLAIN = "(plain)"


def plain_keys_of(type_name: str) -> Label:
    """The label of the plain keys of a cache type."""
    return Label(type_name, _PLAIN, "keys")


PLAIN = plain_keys_of(_PLAIN)
"""The label of plain keys that belong to no type."""

OUTBOX = Label("(outbox)", "", "")
"""The label of counters that are not per function: what a tag, a pattern or an outbox is about is many."""
