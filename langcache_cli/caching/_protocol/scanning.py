"""Finding and removing the keys of a selection: SCAN and UNLINK, never FLUSHDB."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from langcache_cli.caching._keys.selection import Selection
from langcache_cli.caching._protocol.pace import Pace
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.node import Node

KEYS_PER_SCAN = 300
"""Enough to keep the server busy while the previous keys travel. More is no quicker and
delays its other clients."""

KEYS_PER_UNLINK = 128
"""With fewer, a Redis that uses glibc's allocator stalls: glibc puts off merging freed
chunks until a kilobyte is allocated, as it is for the pointers to 128 arguments. Merging what a tenth of a
second has freed takes 10 ms, in which the server serves no client."""

SCANS_PER_UNLINK = 10
"""Upper bound for the searches after which keys that were found are removed, where few keys are selected."""

START = b"0"
"""The cursor that begins a search, and that ends it."""


async def scan(node: Node, selection: Selection) -> AsyncIterator[list[bytes]]:
    """Yield batches of the selected keys. Keys that come or go meanwhile may be missing.

    Raises:
        CacheUnavailableError: The server went away.
    """
    search = _Search(node, selection)
    while not search.ended:
        if found := search.selected(await search.step(KEYS_PER_SCAN)):
            yield found


async def unlink(node: Node, selection: Selection, *, keys_per_second: float | None = None) -> int:
    """Remove the selected keys and return their number.

    A load of such a key that was under way when this began is refused when it wants to store.

    Args:
        node: The server.
        selection: The keys.
        keys_per_second: Upper bound for the rate; None for none.

    Raises:
        CacheUnavailableError: The server went away; some keys may have been removed.
    """
    pace, search = Pace(keys_per_second), _Search(node, selection)
    step, enough = pace.step(KEYS_PER_SCAN), pace.gathered(KEYS_PER_UNLINK)
    removed, scans, found = 0, 0, list[bytes]()
    removing: asyncio.Task[int] | None = None
    searching: asyncio.Task[list[bytes]] | None = asyncio.create_task(search.step(step))
    try:
        while searching is not None:
            keys = await searching
            searching = None if search.ended else asyncio.create_task(search.step(step))
            # two turns of the loop: the next search is sent, and Redis works while this one is sorted
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            selected = search.selected(keys)
            found += selected
            scans += 1
            if found and (len(found) >= enough or scans >= SCANS_PER_UNLINK or searching is None):
                removed += await removing if removing is not None else 0
                removing = asyncio.create_task(node.call("UNLINK", *found))
                scans, found = 0, []
            await pace.keep(len(selected))
        return removed + (await removing if removing is not None else 0)
    finally:
        under_way = [task for task in (searching, removing) if task is not None]
        for task in under_way:
            task.cancel()
        await asyncio.gather(
            *under_way, return_exceptions=True
        )  # retrieves failures that no caller waits for


class _Search:
    """A pass over all keys for each pattern; from the start over a new connection, where cursors differ."""

    def __init__(self, node: Node, selection: Selection) -> None:
        self._node = node
        self._selection = selection
        # A second pass where the selection has another pattern: SCAN takes one at a time.
        self._patterns = [pattern for pattern in (selection.pattern, selection.shortened) if pattern]
        self._pass = 0
        self._cursor = START
        self._connection: BatchedConnection | None = None
        self.ended = False

    async def step(self, count: int) -> list[bytes]:
        """Look at about ``count`` keys and return those that match the pattern."""
        asked, pattern = self._cursor, self._patterns[self._pass]
        cursor, keys = await self._node.call("SCAN", asked, "MATCH", pattern, "COUNT", count)
        connection = self._node.connection
        if (asked != START or self._pass) and connection is not self._connection:
            self._cursor, self._pass = START, 0
        else:
            self._cursor, self._connection = cursor, connection
            self._pass += cursor == START
            self.ended = self._pass == len(self._patterns)
        found: list[bytes] = keys
        return found

    def selected(self, keys: list[bytes]) -> list[bytes]:
        """Those of ``keys`` that the selection means: its pattern may be wider."""
        only = self._selection.only
        return keys if only is None else [key for key in keys if only.match(key)]
