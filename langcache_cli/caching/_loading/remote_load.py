"""Waiting for a load that another process has begun.

Nobody holds a connection or a place in a queue: the key is looked at again and again, at random
moments, until it shows something else. If the other process was killed, its lease ends by itself.
"""

from __future__ import annotations

import asyncio
import random

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._protocol.entry import Placeholder, parse
from langcache_cli.caching._protocol.store import Store
from langcache_cli.caching._single_flight.flight import LoadResult
from langcache_cli.caching._wire.budget import Budget

FIRST_LOOK_SECONDS = 0.005
LAST_LOOK_SECONDS = 0.1
"""Looks start close together, because most loads are quick, and slow down to ten a second: that is how
much later than the first caller the others can have the value."""


async def watch(store: Store, placeholder: Placeholder, key: str) -> LoadResult:
    """Wait until ``key`` no longer shows ``placeholder``.

    It is bounded by whoever waits for it, and by the lease of the load.

    Returns:
        What the key shows then, as ``found``; a ``failure`` when Redis could not be asked.
    """
    pause = FIRST_LOOK_SECONDS
    while True:
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - to spread, not to hide
        pause = min(1.5 * pause, LAST_LOOK_SECONDS)
        try:
            seen = await store.read(key, Budget(store.node.timeout))
        except CacheError as error:
            return LoadResult(failure=error)
        shown = parse(seen.stored) if seen.stored else None
        if shown is None or shown.id != placeholder.id:
            return LoadResult(found=seen.stored or b"")
