"""What can be invalidated: one key, or every key that a pattern selects."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

_SPECIAL = re.compile(r"([*?\[\]\\^-])")


def escape_pattern(text: str) -> str:
    """Make ``text`` match only itself inside a Redis pattern."""
    return _SPECIAL.sub(r"\\\1", text)


@dataclass(frozen=True, slots=True)
class Selection:
    """Keys to find.

    Attributes:
        pattern: A Redis glob, applied by the server.
        only: What a key must begin with besides; None for nothing more.
    """

    pattern: str
    only: re.Pattern[bytes] | None = None


def of_prefixes(namespace: str, prefixes: Sequence[str]) -> Selection:
    """The keys of some prefixes, found in one pass: of several by a wide pattern, and an exact test."""
    if len(prefixes) == 1:
        return Selection(f"{escape_pattern(f'{namespace}:{prefixes[0]}:')}*")
    common = os.path.commonprefix(list(prefixes))  # noqa: RUF071 - of characters is what is wanted
    exact = "|".join(re.escape(f"{namespace}:{prefix}:") for prefix in prefixes)
    return Selection(f"{escape_pattern(f'{namespace}:{common}')}*", re.compile(exact.encode("utf-8")))


Invalidation = str | Selection
"""A full key (of an entry, or of a tag), or a selection of keys."""
