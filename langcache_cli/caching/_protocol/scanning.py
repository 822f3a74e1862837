"""Finding and removing the keys of a selection: SCAN and UNLINK, never FLUSHDB."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

from langcache_cli.caching._deployment.cluster.slots import ALL_SLOTS
from langcache_cli.caching._deployment.confirmation import Confirmation
from langcache_cli.caching._deployment.server import Layout, Server, Share
from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._keys.selection import Selection
from langcache_cli.caching._protocol.pace import Pace
from langcache_cli.caching._protocol.union import Union, together
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.node import Node
from langcache_cli.caching._wire.server_identity import ServerIdentity

KEYS_PER_SCAN = 300
"""Enough to keep the server busy while the previous keys travel. More is no quicker and
delays its other clients."""

KEYS_PER_UNLINK = 128
"""With fewer, a Redis that uses glibc's allocator stalls: glibc puts off merging freed
chunks until a kilobyte is allocated, as it is for the pointers to 128 arguments. Merging what a tenth of a
second has freed takes 10 ms, in which the server serves no client."""

SCANS_PER_UNLINK = 10
"""Upper bound for the searches after which keys that were found are removed, where few keys are selected."""

SHARE = 1 / 2
"""Of the time that is left for all passes over a cluster: so much of it one step may take."""

OnRemoved = Callable[[int, Sequence[bytes]], object]
"""Takes how many keys were removed, and which were to be; some may have been gone already."""

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
    on_removed: OnRemoved = lambda _, __: None,
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
        on_removed: Called for each removal that was confirmed.

    Raises:
        CacheUnavailableError: The server went away; some keys may have been removed.
    """
    passes = _Passes(server, ALL_SLOTS, Pace(keys_per_second), budget, on_removed)
    await passes.over(selections)
    for problem in passes.failed.values():
        raise problem
    return passes.removed


class Swept(NamedTuple):
    """What became of selections that were to be removed.

    Attributes:
        removed: How many keys were.
        confirmed: Slots without such keys, and the server that has them; None for one that does not say
            who it is.
        left: The other slots.
        problem: Why there are some; None if there are none, or no node has them.
    """

    removed: int
    confirmed: Sequence[tuple[int, ServerIdentity | None]]
    left: int
    problem: CacheError | None


async def sweep(
    server: Server,
    *selections: Selection,
    slots: int = ALL_SLOTS,
    keys_per_second: float | None = None,
    budget: Budget | None = None,
    patience: float | None = None,
) -> Swept:
    """`unlink` where that is possible: a node that is away leaves its own slots to do.

    If slots have moved and a node is away, all are left: what has moved may have been on that node.

    Args:
        server: See `unlink`.
        selections: See `unlink`.
        slots: Where to remove them.
        keys_per_second: See `unlink`.
        budget: See `unlink`.
        patience: Without a budget: how many seconds a node that does not answer may take. One that answers
            takes as long as it has keys. None lets each command take the server's own time.

    Raises:
        CacheUnavailableError: It cannot be found out which node has which slots.
    """
    await server.nodes()
    begun = {share.node: (share.slots, Confirmation(share.node)) for share in _with_slots(server, slots)}
    passes = _Passes(server, slots, Pace(keys_per_second), budget, lambda _, __: None, patience=patience)
    await passes.over(selections)
    done, left = list[tuple[int, ServerIdentity | None]](), slots
    problems = list(passes.failed.values())
    for share in [] if passes.repeated and problems else _with_slots(server, slots):
        if share.node in passes.failed or share.node not in begun:
            continue
        at_first, confirmation = begun[share.node]
        bits = share.slots & slots if passes.repeated else share.slots & slots & at_first
        try:
            done.append((bits, confirmation.server()))
        except CacheError as error:
            problems.append(error)
        else:
            left &= ~bits
    return Swept(passes.removed, done, left, problems[0] if problems else None)


def _with_slots(server: Server, slots: int) -> list[Share]:
    return [share for share in server.shares() if share.slots & slots]


class _Passes:
    """The passes over all nodes, and what came of them."""

    def __init__(
        self,
        server: Server,
        slots: int,
        pace: Pace,
        budget: Budget | None,
        on_removed: OnRemoved,
        *,
        patience: float | None = None,
    ) -> None:
        self.removed = 0
        self.repeated = False
        self.failed: dict[Node, CacheError] = {}
        self._server = server
        self._slots = slots
        self._pace = pace
        self._budget = budget
        self._on_removed = on_removed
        # a node that hangs keeps two commands of a cluster waiting: of the first layout, and of the search
        self._each = None if patience is None else patience * (SHARE if server.is_cluster else 1)

    async def over(self, selections: Sequence[Selection]) -> None:
        """As many passes as are needed; see `unlink`."""
        await self._server.nodes()  # knows the slots from now on
        for union in together(selections):
            before = await self._layout()
            await self._run(union)
            if before.is_moving or await self._layout() != before:
                self.repeated = True
                await self._run(union)

    def _part(self) -> Budget | None:
        """The time that one step may take: a node of a cluster that hangs must leave some to the others."""
        if self._budget is None:
            return None
        return Budget(self._budget.left * (SHARE if self._server.is_cluster else 1))

    async def _layout(self) -> Layout:
        if self._budget is None and self._each is not None:
            return await self._server.layout(Budget(self._each))
        budget = self._part()
        allowed = budget.left if budget is not None else 0.0
        layout = await self._server.layout(budget)
        if self._budget is not None and budget is not None:
            self._budget.left -= allowed - budget.left
        return layout

    async def _run(self, union: Union) -> None:
        """One pass; a node that fails does not stop the others."""
        shares = [share for share in _with_slots(self._server, self._slots) if share.node not in self.failed]
        budgets = [self._part() for _ in shares]
        allowed = max([one.left for one in budgets if one is not None], default=0.0)
        passes = [
            _unlink(
                self._server, _Search(share.node, union, budget, self._each), self._pace, self._on_removed
            )
            for share, budget in zip(shares, budgets, strict=True)
        ]
        results = await asyncio.gather(*passes, return_exceptions=True)
        for share, result in zip(shares, results, strict=True):
            if isinstance(result, CacheError):
                self.failed[share.node] = result
            elif isinstance(result, BaseException):
                raise result
            else:
                self.removed += result
        if self._budget is not None:
            self._budget.left -= allowed - min(
                [one.left for one in budgets if one is not None], default=allowed
            )


async def _unlink(server: Server, search: _Search, pace: Pace, on_removed: OnRemoved) -> int:
    """One pass of `unlink` over the keys of one node."""

    async def remove(keys: list[bytes]) -> int:
        count = await server.remove(keys, budget=search.for_command())
        on_removed(count, keys)
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

    def __init__(self, node: Node, union: Union, budget: Budget | None, each: float | None = None) -> None:
        """Prepare; ``budget`` is for all commands, or ``each`` the seconds for one."""
        self.budget = budget
        self._each = each
        self.selected = union.selected
        self._node = node
        self._pattern = union.pattern
        self._cursor = START
        self._connection: BatchedConnection | None = None
        self.ended = False

    def for_command(self) -> Budget | None:
        """The budget of the next command."""
        return Budget(self._each) if self.budget is None and self._each is not None else self.budget

    async def step(self, count: int) -> list[bytes]:
        """Look at about ``count`` keys and return those that match the pattern."""
        asked = self._cursor
        command = ("SCAN", asked, "MATCH", self._pattern, "COUNT", count)
        cursor, keys = await self._node.call(*command, budget=self.for_command())
        connection = self._node.connection
        if asked != START and connection is not self._connection:
            self._cursor = START
        else:
            self._cursor, self._connection = cursor, connection
            self.ended = cursor == START
        found: list[bytes] = keys
        return found
