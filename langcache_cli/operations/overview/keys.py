"""Looking for keys: a page at a time, by cursor, for a fraction of a second."""

from __future__ import annotations

import re
import time
from typing import Any

from typing_extensions import TypedDict

from langcache_cli.caching import Cache, PatternError, escape_pattern
from langcache_cli.operations.overview.key_text import address_of, readable, without_arguments
from langcache_cli.operations.overview.keyspace import type_of

KEYS_PER_PAGE = 50
SECONDS_PER_PAGE = 0.25
MOST_PER_STEP = 1000
START = "0.0.50.0"
"""The cursor that begins: which node, its cursor, how many keys a step had, how many of them were shown."""
END = ""


class KeyRow(TypedDict):
    """A key that was found.

    ``key`` is for people, ``address`` is what `entry` and a removal take; empty if arguments are hidden.
    ``ttl_ms`` is -1 for no end, ``bytes`` None if Redis does not say.
    """

    key: str
    address: str
    type: str
    ttl_ms: int
    bytes: int | None


class KeyPage(TypedDict):
    """Keys that were found, where to go on (empty at the end), and how many were looked at."""

    keys: list[KeyRow]
    cursor: str
    searched: int


async def find_keys(
    cache: Cache,
    *,
    text: str = "",
    type_name: str = "",
    cursor: str = START,
    hide_arguments: bool = False,
    limit: int = KEYS_PER_PAGE,
    seconds: float = SECONDS_PER_PAGE,
) -> KeyPage:
    """Find keys of the namespace that have ``text`` anywhere in them.

    Args:
        cache: Where.
        text: Taken as it is; nothing in it is special.
        type_name: Only keys of this type.
        cursor: Of the page before.
        hide_arguments: Show keys without the arguments of calls, and do not search in them.
        limit: How many keys to find at most.
        seconds: How long to search at most.

    Raises:
        PatternError: The cursor, or the text, is malformed.
        CacheError: Redis did not answer, or refused.
    """
    search = _Search(cache, text, type_name, hide_arguments=hide_arguments)
    at = _Place.parse(cursor, usual=max(KEYS_PER_PAGE, min(limit, MOST_PER_STEP)))
    nodes = await cache.runtime().server.nodes()
    ends = time.monotonic() + seconds
    rows: list[KeyRow] = []
    while at.node < len(nodes) and len(rows) < limit and time.monotonic() < ends:
        rows += await search.step(nodes[at.node], at, limit - len(rows))
    keys = sum([await node.call("DBSIZE") for node in nodes])
    return KeyPage(
        keys=rows,
        cursor=END if at.node >= len(nodes) else str(at),
        searched=min(search.searched, keys),
    )


class _Place:
    """Where a search is; moves on with each step."""

    def __init__(self, node: int, scan: bytes, count: int, shown: int, *, usual: int) -> None:
        self.node, self.scan, self.count, self.shown = node, scan, count, shown
        self._usual = usual

    @classmethod
    def parse(cls, cursor: str, *, usual: int = KEYS_PER_PAGE) -> _Place:
        """Read a cursor; steps behind it have ``usual`` keys while any are found."""
        fields = re.fullmatch(r"(\d{1,4})\.(\d{1,20})\.(\d{1,4})\.(\d{1,6})", cursor or START, re.ASCII)
        if fields is None:
            raise PatternError(f"{cursor!r} is no cursor")
        node, scan, count, shown = fields.groups()
        step = min(int(count) or KEYS_PER_PAGE, MOST_PER_STEP)
        return cls(int(node), scan.encode("ascii"), step, int(shown), usual=usual)

    def __str__(self) -> str:
        return f"{self.node}.{self.scan.decode('ascii')}.{self.count}.{self.shown}"

    def step_done(self, scan: bytes, *, found: bool) -> None:
        """Go on behind a step; with larger steps while nothing is found."""
        self.scan, self.shown = scan, 0
        self.count = self._usual if found else min(2 * self.count, MOST_PER_STEP)
        if scan == b"0":
            self.node += 1


class _Search:
    def __init__(self, cache: Cache, text: str, type_name: str, *, hide_arguments: bool) -> None:
        if not text.isascii() and text.encode("utf-8", "replace").decode() != text:
            raise PatternError(f"{text!r} is not UTF-8")
        self._cache = cache
        self._start = f"{cache.settings.namespace}:".encode()
        self._text, self._type, self._hide = text, type_name, hide_arguments
        # the text may be a whole key, or part of the namespace: where it stands is looked at here
        self._pattern = f"*{escape_pattern(text)}*" if text and not hide_arguments else _everything(cache)
        self.searched = 0

    async def step(self, node: Any, at: _Place, room: int) -> list[KeyRow]:
        """One SCAN, and what is known about the keys that it found."""
        scan, found = await node.call("SCAN", at.scan, "MATCH", self._pattern, "COUNT", at.count)
        matching = [key for key in dict.fromkeys(found) if self._matches(key)]
        chosen = matching[at.shown : at.shown + room]
        if at.shown + room < len(matching):
            at.shown += room  # the same step again, from there
        else:
            self.searched += at.count
            at.step_done(scan, found=bool(matching))
        if not chosen:
            return []
        ends = await node.call_many([("PTTL", key) for key in chosen])
        sizes = await node.call_many([("MEMORY", "USAGE", key) for key in chosen])
        return [self._row(*row) for row in zip(chosen, ends, sizes, strict=True)]

    def _matches(self, key: bytes) -> bool:
        if not key.startswith(self._start):
            return False
        if self._type and type_of(self._cache, key) != self._type:
            return False
        return not self._hide or self._text in without_arguments(readable(key))

    def _row(self, key: bytes, ttl: object, size: object) -> KeyRow:
        shown = readable(key)
        return KeyRow(
            key=without_arguments(shown) if self._hide else shown,
            address="" if self._hide else address_of(key),
            type=type_of(self._cache, key),
            ttl_ms=ttl if isinstance(ttl, int) else -1,
            bytes=size if isinstance(size, int) else None,
        )


def _everything(cache: Cache) -> str:
    return f"{escape_pattern(cache.settings.namespace)}:*"
