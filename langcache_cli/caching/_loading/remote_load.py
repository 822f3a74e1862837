"""Waiting for a load that another process has begun.

The key is looked at when Redis says that it has changed (`KeyWatch`), and now and then without that, until it
shows something else. If the other process was killed, its lease ends by itself.
"""

from __future__ import annotations

import asyncio
import random

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._protocol.entry import Placeholder, parse
from langcache_cli.caching._protocol.failure import parse_failure
from langcache_cli.caching._protocol.lease import Lease
from langcache_cli.caching._protocol.store import Store
from langcache_cli.caching._single_flight.flight import LoadResult
from langcache_cli.caching._single_flight.key_watch import KeyWatch
from langcache_cli.caching._wire.budget import Budget

FIRST_PAUSE_SECONDS = 0.005
LAST_PAUSE_SECONDS = 0.1
"""Where Redis pushes no changes the pause grows by half from the first to the last: most loads are quick."""

WATCHED_PAUSE_SECONDS = 0.2
"""The pause while a change would be pushed."""


SHORTEST_PATIENCE_SECONDS = 0.25
"""So long at least a call whose value was refused waits for a newer one."""

WITHOUT_END = -1
"""Reply to PTTL."""


async def wait_for_change(store: Store, placeholder: Placeholder, key: str, *, watch: KeyWatch) -> LoadResult:
    """Wait until ``key`` no longer shows ``placeholder``. It has no time limit but that of the lease.

    Args:
        store: Where the key is.
        placeholder: What it shows now.
        key: The key.
        watch: Says when it has changed.

    Returns:
        What the key shows then, as ``found``; ``failed`` if that is the failure of this load; a ``failure``
        when Redis could not be asked.
    """
    pause = FIRST_PAUSE_SECONDS
    try:
        await _give_end(store, key)
    except CacheError as error:
        return LoadResult(failure=error)
    with watch.watching(key) as changes:
        while True:
            longest = WATCHED_PAUSE_SECONDS if changes.tracked else pause
            await changes.wait(longest * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load; no secret depends on it
            pause = min(1.5 * pause, LAST_PAUSE_SECONDS)
            try:
                seen = await store.look_up(key, Budget(store.server.timeout))
            except CacheError as error:
                return LoadResult(failure=error)
            shown = parse(seen.stored) if seen.stored else None
            failed = parse_failure(seen.stored) if seen.stored and shown is None else None
            if failed is not None and failed.id == placeholder.id:
                return LoadResult(failed=failed)
            if shown is None or shown.id != placeholder.id:
                return LoadResult(found=seen.stored or b"")


async def wait_or_overtake(
    store: Store, placeholder: Placeholder, key: str, budget: Budget, *, watch: KeyWatch, patience: float
) -> None:
    """`wait_for_change` for so many seconds; then that load loses the right to store.

    Raises:
        CacheError: Redis did not confirm that.
    """
    try:
        async with asyncio.timeout(patience):
            await wait_for_change(store, placeholder, key, watch=watch)
    except TimeoutError:
        await store.release([Lease(key, placeholder.id)], budget, entries_too=False)


async def _give_end(store: Store, key: str) -> None:
    """Let a lease that never ends, which no version of this package takes, end after one lease time."""
    budget = Budget(store.server.timeout)
    if await store.server.call("PTTL", key, budget=budget) == WITHOUT_END:
        await store.server.call("PEXPIRE", key, store.lease_ms, budget=budget)
