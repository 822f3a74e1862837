"""Loading the successor of an entry that is still served: when it is stale, or ahead of its end."""

from __future__ import annotations

from typing import Any

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._loading.load import Load
from langcache_cli.caching._protocol.entry import Entry
from langcache_cli.caching._protocol.store import new_lease


async def renewed(load: Load, entry: Entry, value: Any, *, due: bool = False) -> Any:
    """The value to return for an entry that was found: its own, or that of its successor.

    At most one call of the fleet loads it. A function that takes a database session does so in that call,
    which then returns the new value, or the old one if it fails; others do so in the background.

    Args:
        load: Of the call.
        entry: What it found.
        value: Its value.
        due: Whether the dice have been thrown already, and say that it should be loaded.
    """
    if not _is_due(load, entry, due=due):
        return value
    runtime, lease = load.runtime, new_lease(load.key)
    work = load.if_elected(lease, entry)
    ends_with_starter = load.spec.takes_session
    flight = runtime.running_loads.start(
        lease.token,
        work,
        renews=load.key,
        in_background=not ends_with_starter,
        ends_with_starter=ends_with_starter,
    )
    if flight.in_background:
        return value
    try:
        landing = await flight.result()
    except Exception:
        if await _was_invalidated(load, {entry.id, lease.token}):
            raise
        return value  # the error was counted and logged where it was raised
    return value if landing.found is not None else landing.value


async def _was_invalidated(load: Load, ids: set[str]) -> bool:
    """Whether the entry that is about to be served for want of a better one has gone meanwhile."""
    try:
        found = (await load.look()).parse()
    except CacheError:
        return False
    return found is None or found.id not in ids


def _is_due(load: Load, entry: Entry, *, due: bool) -> bool:
    lifetime, runtime = load.lifetime, load.runtime
    if not (lifetime.stale_seconds or lifetime.early_refresh):
        return False
    now_ms = runtime.now_ms()
    if lifetime.stale_seconds and now_ms >= entry.fresh_until_ms:
        load.count("stale")
    return (
        (due or lifetime.renewal_is_due(entry, now_ms))
        and not runtime.is_leased(entry, now_ms)
        and not runtime.running_loads.is_renewing(load.key)
    )
