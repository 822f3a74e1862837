"""Clearing many keys by pattern: SCAN and UNLINK, never outside the namespace.

No path leads to FLUSHDB.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from langcache_cli.caching._keys.selection import Selection
from langcache_cli.caching._protocol.pace import Pace
from langcache_cli.caching._wire.node import Node
from langcache_cli.caching._wire.write_batch import BatchedConnection

KEYS_PER_SCAN = 300
"""Keep the server busy while the last ones travel. More would be no quicker, and starve its other clients."""

KEYS_PER_UNLINK = 128
"""Fewer at a time are worse for others where Redis uses glibc's allocator. It puts off merging what was freed
until a kilobyte is asked for, which the pointers to so many arguments are; merging what was freed in a tenth
of a second takes 10 ms, in which nobody is served."""

SCANS_PER_UNLINK = 10
"""Where few keys are selected, those found do not wait for more than so many searches."""

START = b"0"
"""The cursor that begins a search, and that ends it."""


async def scan(node: Node, selection: Selection) -> AsyncIterator[list[bytes]]:
    """Yield batches of the selected keys; ones that come and go meanwhile may be missing."""
    search = _Search(node, selection)
    while not search.ended:
        if found := search.selected(await search.step(KEYS_PER_SCAN)):
            yield found


async def unlink(node: Node, selection: Selection, *, keys_per_second: float | None = None) -> int:
    """Remove the selected keys and return how many there were.

    Every load of such a key that was under way when this began is refused when it wants to store.

    Args:
        node: Where they are.
        selection: Which.
        keys_per_second: How many to remove in a second at most; None for as many as there are.
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
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # by now it is on its way: Redis searches on while we sort what it found
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
        await asyncio.gather(*under_way, return_exceptions=True)  # looks at failures that nobody waits for


class _Search:
    """One pass over all keys. It begins anew over another connection: there a cursor may mean other keys."""

    def __init__(self, node: Node, selection: Selection) -> None:
        self._node = node
        self._selection = selection
        self._cursor = START
        self._connection: BatchedConnection | None = None
        self.ended = False

    async def step(self, count: int) -> list[bytes]:
        """Some of the keys that match the pattern, of about so many keys."""
        asked, pattern = self._cursor, self._selection.pattern
        cursor, keys = await self._node.call("SCAN", asked, "MATCH", pattern, "COUNT", count)
        connection = self._node.out
        if asked != START and connection is not self._connection:
            self._cursor = START
        else:
            self._cursor, self._connection = cursor, connection
            self.ended = cursor == START
        found: list[bytes] = keys
        return found

    def selected(self, keys: list[bytes]) -> list[bytes]:
        """Those that are meant."""
        only = self._selection.only
        return keys if only is None else [key for key in keys if only.match(key)]
