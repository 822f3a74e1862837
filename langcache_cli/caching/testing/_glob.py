"""Redis glob patterns as regular expressions."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"\\(?P<escaped>.)|\[(?P<negated>\^?)(?P<set>(?:\\.|[^\]\\])*)\]|(?P<any>\*)|(?P<one>\?)|.", re.DOTALL
)


def glob(pattern: str) -> re.Pattern[str]:
    """The regular expression that matches the whole of each key that a Redis pattern matches."""
    return re.compile(_TOKEN.sub(_regex, pattern), re.DOTALL)


def _regex(token: re.Match[str]) -> str:
    if token["any"]:
        return ".*"
    if token["one"]:
        return "."
    if token["set"] is not None:
        members = re.sub(r"([\[&~|])", r"\\\1", token["set"])  # special in sets of regular expressions only
        return f"[{token['negated']}{members}]" if members else "(?!)"
    return re.escape(token["escaped"] or token[0])
