"""Waiting for a load that another process has begun.

The key is polled at random moments until it shows something else: no connection is held, and there is no
queue. If the other process was killed, its lease ends by itself.
"""

from __future__ import annotations

import asyncio
import random

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._protocol.entry import Placeholder, parse
from langcache_cli.caching._protocol.failure import parse_failure
from langcache_cli.caching._protocol.store import Store
from langcache_cli.caching._single_flight.flight import LoadResult
from langcache_cli.caching._wire.budget import Budget

FIRST_PAUSE_SECONDS = 0.005
LAST_PAUSE_SECONDS = 0.1
"""The pause grows by half from the first to the last: most loads are quick. Waiters get the value at most one
pause later than the call that loaded it."""


WITHOUT_END = -1
"""Reply to PTTL."""


async def wait_for_change(store: Store, placeholder: Placeholder, key: str) -> LoadResult:
    """Wait until ``key`` no longer shows ``placeholder``. It has no time limit but that of the lease.

    Returns:
        What the key shows then, as ``found``; ``failed`` if that is the failure of this load; a ``failure``
        when Redis could not be asked.
    """
    pause = FIRST_PAUSE_SECONDS
    try:
        await _give_end(store, key)
    except CacheError as error:
        return LoadResult(failure=error)
    while True:
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load; no secret depends on it
        pause = min(1.5 * pause, LAST_PAUSE_SECONDS)
        try:
            seen = await store.look_up(key, Budget(store.node.timeout))
        except CacheError as error:
            return LoadResult(failure=error)
        shown = parse(seen.stored) if seen.stored else None
        failed = parse_failure(seen.stored) if seen.stored and shown is None else None
        if failed is not None and failed.id == placeholder.id:
            return LoadResult(failed=failed)
        if shown is None or shown.id != placeholder.id:
            return LoadResult(found=seen.stored or b"")


async def _give_end(store: Store, key: str) -> None:
    """Let a lease that never ends, which no version of this package takes, end after one lease time."""
    budget = Budget(store.node.timeout)
    if await store.node.call("PTTL", key, budget=budget) == WITHOUT_END:
        await store.node.call("PEXPIRE", key, store.lease_ms, budget=budget)
