"""Patterns as Redis understands them."""

from __future__ import annotations

import re

_PIECES = re.compile(
    r"\\(?P<plain>.)|\[(?P<none>\^?)(?P<set>(?:\\.|[^\]\\])*)\]|(?P<any>\*)|(?P<one>\?)|.", re.DOTALL
)


def glob(pattern: str) -> re.Pattern[str]:
    """A Redis pattern as a regular expression for the whole of a key."""
    return re.compile(_PIECES.sub(_regex, pattern), re.DOTALL)


def _regex(piece: re.Match[str]) -> str:
    if piece["any"]:
        return ".*"
    if piece["one"]:
        return "."
    if piece["set"] is not None:
        members = re.sub(r"([\[&~|])", r"\\\1", piece["set"])  # which mean nothing to Redis
        return f"[{piece['none']}{members}]" if members else "(?!)"
    return re.escape(piece["plain"] or piece[0])
