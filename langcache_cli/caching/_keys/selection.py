"""What an invalidation applies to: one key, or all keys that a pattern selects."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

_GLOB_CHARACTERS = re.compile(r"([*?\[\]\\^-])")


def escape_pattern(text: str) -> str:
    """Escape ``text`` so that it matches only itself inside a Redis pattern."""
    return _GLOB_CHARACTERS.sub(r"\\\1", text)


@dataclass(frozen=True, slots=True)
class Selection:
    """A set of keys.

    Attributes:
        pattern: A Redis glob, matched by the server.
        only: Matched at the start of each key that the server returns; None if the pattern is exact.
    """

    pattern: str
    only: re.Pattern[bytes] | None = None


def select_prefixes(namespace: str, prefixes: Sequence[str]) -> Selection:
    """The keys of some prefixes in one scan: a wider pattern, and an exact match of each key.

    A plain key that is nothing but a prefix belongs to it, too.
    """
    common = os.path.commonprefix(list(prefixes))  # noqa: RUF071 - a common prefix of characters is intended
    exact = "|".join(re.escape(f"{namespace}:{prefix}") for prefix in prefixes)
    pattern = f"{escape_pattern(f'{namespace}:{common}')}*"
    return Selection(pattern, re.compile(rf"(?:{exact})(?::|\Z)".encode()))


Invalidation = str | Selection
"""The full Redis key of an entry or a tag, or a selection of keys."""
