"""Finding and removing the keys of a selection: SCAN and UNLINK, never FLUSHDB."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._keys.selection import Selection
from langcache_cli.caching._protocol.pace import Pace
from langcache_cli.caching._protocol.union import Union, together
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.budget import Budget
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


async def scan(server: Server, selection: Selection) -> AsyncIterator[list[bytes]]:
    """Yield batches of the selected keys. Keys that come or go meanwhile may be missing.

    Raises:
        CacheUnavailableError: The server went away.
    """
    for union in together([selection]):
        for node in await server.nodes():
            search = _Search(node, union, None)
            while not search.ended:
                if found := search.selected(await search.step(KEYS_PER_SCAN)):
                    yield found


async def unlink(
    server: Server,
    *selections: Selection,
    keys_per_second: float | None = None,
    budget: Budget | None = None,
    on_removed: Callable[[int], object] = lambda _: None,
) -> int:
    """Remove the selected keys in one pass, if their patterns allow it, and return their number.

    A load of such a key that was under way when this began is refused when it wants to store. In a cluster
    all nodes are searched at the same time. A slot that moves meanwhile may be missed on both its nodes: then
    there is a second pass, begun after the first has ended everywhere, and it misses nothing, as a slot does
    not move twice so soon.

    Args:
        server: Where they are.
        selections: The keys.
        keys_per_second: Upper bound for the rate; None for none.
        budget: Upper bound for the time of all; None lets each command take the server's own.
        on_removed: Called with the number of keys of each removal that was confirmed.

    Raises:
        CacheUnavailableError: The server went away; some keys may have been removed.
    """
    pace, removed = Pace(keys_per_second), 0
    for union in together(selections):
        before = await server.layout(budget)
        removed += await _unlink_everywhere(server, union, pace, budget, on_removed)
        if before.is_moving or await server.layout(budget) != before:
            removed += await _unlink_everywhere(server, union, pace, budget, on_removed)
    return removed


async def _unlink_everywhere(
    server: Server, union: Union, pace: Pace, budget: Budget | None, on_removed: Callable[[int], object]
) -> int:
    """One pass of `unlink` over all nodes; one that fails does not stop the others."""
    searches = [_Search(node, union, budget) for node in await server.nodes()]
    if len(searches) == 1:
        return await _unlink(server, searches[0], pace, on_removed)
    passes = [_unlink(server, search, pace, on_removed) for search in searches]
    removed = 0
    for result in await asyncio.gather(*passes, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
        removed += result
    return removed


async def _unlink(server: Server, search: _Search, pace: Pace, on_removed: Callable[[int], object]) -> int:
    """One pass of `unlink` over the keys of one node."""

    async def remove(keys: list[bytes]) -> int:
        count = await server.remove(keys, budget=search.budget)
        on_removed(count)
        return count

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
                removing = asyncio.create_task(remove(found))
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
    """One pass over all keys. Over a new connection it begins anew: there a cursor may mean other keys."""

    def __init__(self, node: Node, union: Union, budget: Budget | None) -> None:
        self.budget = budget
        self.selected = union.selected
        self._node = node
        self._pattern = union.pattern
        self._cursor = START
        self._connection: BatchedConnection | None = None
        self.ended = False

    async def step(self, count: int) -> list[bytes]:
        """Look at about ``count`` keys and return those that match the pattern."""
        asked = self._cursor
        command = ("SCAN", asked, "MATCH", self._pattern, "COUNT", count)
        cursor, keys = await self._node.call(*command, budget=self.budget)
        connection = self._node.connection
        if asked != START and connection is not self._connection:
            self._cursor = START
        else:
            self._cursor, self._connection = cursor, connection
            self.ended = cursor == START
        found: list[bytes] = keys
        return found
