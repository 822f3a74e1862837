"""Several selections in one search: a pattern that is wide enough for all, and an exact test of each key."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from langcache_cli.caching._keys.selection import Selection, escape_pattern

MAX_PATTERNS = 200
"""Upper bound for the patterns in one search: each is tried on every key, on the event loop."""

_TOKEN = re.compile(r"\\(?P<escaped>.)|(?P<any>\*+)|(?P<one>\?)|(?P<set>\[)|[^\\*?\[]+|\\", re.DOTALL)


class Union:
    """Some selections that can be searched for together."""

    def __init__(self, selections: Sequence[Selection]) -> None:
        """Combine selections that `together` has put into one group."""
        self.selections = tuple(selections)
        self._starts: dict[int, set[bytes]] = {}
        others = []
        if len(self.selections) == 1:
            self.pattern, self._only = selections[0].pattern, selections[0].only
            return
        literals = []
        for selection in selections:
            start, is_prefix = _literal_start(selection.pattern)
            literals.append(start)
            if selection.only is not None:
                others.append(selection.only.pattern)
            elif is_prefix:
                encoded = start.encode("utf-8", "surrogatepass")
                self._starts.setdefault(len(encoded), set()).add(encoded)
            else:
                others.append(_regex(selection.pattern))
        common = os.path.commonprefix(literals)  # noqa: RUF071 - a common prefix of characters is intended
        self.pattern = f"{escape_pattern(common)}*"
        self._only = (
            re.compile(b"|".join(b"(?:%s)" % other for other in others), re.DOTALL) if others else None
        )

    def selected(self, keys: list[bytes]) -> list[bytes]:
        """Those of ``keys`` that one of the selections means; ``keys`` match `pattern`."""
        if not self._starts:
            return keys if self._only is None else [key for key in keys if self._only.match(key)]
        return [key for key in keys if self._has(key)]

    def _has(self, key: bytes) -> bool:
        if any(key[:length] in starts for length, starts in self._starts.items()):
            return True
        return self._only is not None and self._only.match(key) is not None


def together(selections: Sequence[Selection]) -> Iterator[Union]:
    """As few unions as possible. A pattern with a set of characters is left to Redis alone."""
    starts, others = list[Selection](), list[Selection]()
    for selection in dict.fromkeys(part for whole in selections for part in _parts(whole)):
        if _has_set(selection):
            yield Union([selection])
        elif selection.only is None and _literal_start(selection.pattern)[1]:
            starts.append(selection)
        else:
            others.append(selection)
    while starts or others:
        yield Union([*starts, *others[:MAX_PATTERNS]])
        starts, others = [], others[MAX_PATTERNS:]


@lru_cache(maxsize=1024)
def possible(selection: Selection) -> re.Pattern[bytes]:
    """Matches each key that a selection may mean, from its start; after a set of characters anything."""
    parts = [
        part.only.pattern if part.only is not None else _regex_until_set(part.pattern)
        for part in _parts(selection)
    ]
    return re.compile(b"|".join([b"(?:%b)" % part for part in parts]), re.DOTALL)


def _parts(selection: Selection) -> Iterator[Selection]:
    """A selection as selections of one pattern each."""
    yield Selection(selection.pattern, selection.only)
    if selection.shortened is not None:
        yield Selection(selection.shortened)


def _has_set(selection: Selection) -> bool:
    return any(token["set"] for token in _TOKEN.finditer(selection.pattern))


def _literal_start(pattern: str) -> tuple[str, bool]:
    """What each key begins with that matches, and whether that alone is enough to match."""
    start = ""
    for token in _TOKEN.finditer(pattern):
        if token["any"] or token["one"] or token["set"]:
            return start, bool(token["any"]) and token.end() == len(pattern)
        start += token["escaped"] or token[0]
    return start, False


def _regex(pattern: str) -> bytes:
    """The regular expression that matches the whole of each key that a pattern without sets matches."""
    return b"".join(map(_regex_of, _TOKEN.finditer(pattern))) + rb"\Z"


def _regex_until_set(pattern: str) -> bytes:
    """The regular expression of a pattern, as far as its first set of characters."""
    tokens = list(_TOKEN.finditer(pattern))
    sets = [token.start() for token in tokens if token["set"]]
    return (
        _regex(pattern) if not sets else b"".join([_regex_of(one) for one in tokens if one.end() <= sets[0]])
    )


def _regex_of(token: re.Match[str]) -> bytes:
    if token["any"]:
        return b".*"
    if token["one"]:
        return b"."
    return re.escape((token["escaped"] or token[0]).encode("utf-8", "surrogatepass"))
