"""Loading the successor of an entry that is still served: after its TTL, or ahead of its end."""

from __future__ import annotations

from functools import partial
from typing import Any

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._loading.load import Load
from langcache_cli.caching._loading.replacing import load_if_elected
from langcache_cli.caching._protocol.entry import Entry
from langcache_cli.caching._protocol.lease import new_lease


async def value_or_refreshed(load: Load, entry: Entry, value: Any, *, due: bool) -> Any:
    """The value to return for an entry that was found: its own, or that of its successor.

    At most one call of the fleet loads the successor. If the function takes a database session, that call
    waits for the load and returns the new value, or the old one if the load fails; otherwise the load runs in
    the background.

    Args:
        load: Of the call.
        entry: What it found.
        value: Its value.
        due: The decision of `Lifetime.draw_refresh` for this look-up.
    """
    if not load.lifetime.refreshes:
        return value
    runtime, now_ms = load.runtime, load.runtime.now_ms()
    if load.lifetime.stale_seconds and now_ms >= entry.fresh_until_ms:
        load.count("stale")
    # a load that has not ended by then has lost its lease: it must not keep others from trying
    oldest = runtime.loop.time() - runtime.longest_load_ms / 1000
    if not due or runtime.is_leased(entry, now_ms) or runtime.running_loads.is_refreshing(load.key, oldest):
        return value
    lease = new_lease(load.key)
    flight = runtime.running_loads.start(
        lease.token,
        partial(load_if_elected, load, lease, entry),
        served_key=load.key,
        in_background=not load.spec.takes_session,
        ends_with_starter=load.spec.takes_session,
    )
    if flight.in_background:
        return value
    try:
        result = await flight.run()
    except Exception:  # whatever the function raises: the old value may be served in its place
        if await was_invalidated(load, {entry.id, lease.token}):
            raise
        return value  # the error was counted and logged where it was raised
    return value if result.found is not None else result.value


async def was_invalidated(load: Load, ids: set[str]) -> bool:
    """True if the entry that is about to be served instead of a new value has been invalidated meanwhile."""
    try:
        found = (await load.look_up()).parse()
    except CacheError:
        return False
    return found is None or found.id not in ids
