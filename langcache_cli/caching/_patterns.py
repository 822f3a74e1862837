"""Clearing many keys by pattern: SCAN and UNLINK, never outside the namespace.

No path leads to FLUSHDB.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from langcache_cli.caching._link import Argument
from langcache_cli.caching._pace import Pace
from langcache_cli.caching._server import Server

KEYS_PER_SCAN = 300
"""Keep the server busy while the last ones travel. More would be no quicker, and starve its other clients."""

KEYS_PER_UNLINK = 128
"""Fewer at a time are worse for others where Redis uses glibc's allocator. It puts off merging what was freed
until a kilobyte is asked for, which the pointers to so many arguments are; merging what was freed in a tenth
of a second takes 10 ms, in which nobody is served."""

SCANS_PER_UNLINK = 10
"""Where few keys are selected, those found do not wait for more than so many searches."""

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


async def scan(server: Server, selection: Selection) -> AsyncIterator[list[bytes]]:
    """Yield batches of the selected keys; ones that come and go meanwhile may be missing."""
    cursor = b"0"
    while True:
        cursor, keys = await server.call(*_next_scan(cursor, selection, KEYS_PER_SCAN))
        if found := _selected(keys, selection):
            yield found
        if cursor == b"0":
            return


async def unlink(server: Server, selection: Selection, *, keys_per_second: float | None = None) -> int:
    """Remove the selected keys and return how many there were.

    Every load of such a key that was under way when this began is refused when it wants to store.

    Args:
        server: Where they are.
        selection: Which.
        keys_per_second: How many to remove in a second at most; None for as many as there are.
    """
    pace, removed, scans, found = Pace(keys_per_second), 0, 0, list[bytes]()
    enough = pace.gathered(KEYS_PER_UNLINK)
    removing: asyncio.Task[int] | None = None
    searching: asyncio.Task[Any] | None = _searching(server, selection, b"0", pace)
    try:
        while searching is not None:
            cursor, keys = await searching
            searching = None if cursor == b"0" else _searching(server, selection, cursor, pace)
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # by now it is on its way: Redis searches on while we sort what it found
            selected = _selected(keys, selection)
            found += selected
            scans += 1
            if found and (len(found) >= enough or scans >= SCANS_PER_UNLINK or searching is None):
                removed += await removing if removing is not None else 0
                removing = asyncio.create_task(server.call("UNLINK", *found))
                scans, found = 0, []
            await pace.keep(len(selected))
        return removed + (await removing if removing is not None else 0)
    finally:
        under_way = [task for task in (searching, removing) if task is not None]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)  # looks at failures that nobody waits for


def _searching(server: Server, selection: Selection, cursor: bytes, pace: Pace) -> asyncio.Task[Any]:
    return asyncio.create_task(server.call(*_next_scan(cursor, selection, pace.step(KEYS_PER_SCAN))))


def _next_scan(cursor: bytes, selection: Selection, count: int) -> tuple[Argument, ...]:
    return ("SCAN", cursor, "MATCH", selection.pattern, "COUNT", count)


def _selected(keys: list[bytes], selection: Selection) -> list[bytes]:
    return [key for key in keys if selection.only is None or selection.only.match(key)]
