"""What an invalidation applies to: one key, or all keys that a pattern selects."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from langcache_cli.caching._keys.shortening import DIGEST_BYTES, DIGEST_MARK, MAX_KEY_BYTES

MIN_HEAD_BYTES = MAX_KEY_BYTES - len(DIGEST_MARK) - 2 * DIGEST_BYTES - 3
"""Bytes of a shortened key that are those of the whole key, at least: a character may have been cut."""

_GLOB_TOKEN = re.compile(r"\\.|.", re.DOTALL)
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
        shortened: Another glob, of the shortened keys whose head fits the pattern: their ends may fit as
            well, but only a digest is left of these. None if the pattern cannot reach beyond a head.
    """

    pattern: str
    only: re.Pattern[bytes] | None = None
    shortened: str | None = None


def select_pattern(pattern: str) -> Selection:
    """The keys that a pattern matches, and the shortened keys of which it may have matched the whole."""
    tokens = _GLOB_TOKEN.findall(pattern)
    fixed = list(takewhile(lambda item: item != "*" and item[0] != "[", tokens))
    rest = tokens[len(fixed) :]
    n_bytes = len("".join(fixed).encode("utf-8", "replace"))
    if not {*rest} - {"*"} and n_bytes <= (MIN_HEAD_BYTES if rest else MAX_KEY_BYTES):
        return Selection(pattern)
    head = "".join(fixed) if n_bytes <= MIN_HEAD_BYTES else "".join(_within(fixed, MIN_HEAD_BYTES))
    return Selection(pattern, shortened=f"{head}*{DIGEST_MARK}{'?' * (2 * DIGEST_BYTES)}")


def _within(tokens: list[str], n_bytes: int) -> Iterator[str]:
    """As many of the first tokens as fit in so many bytes."""
    for token in tokens:
        n_bytes -= len(token.encode("utf-8", "replace"))
        if n_bytes < 0:
            return
        yield token


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
