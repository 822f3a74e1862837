"""Loading the successors of many entries in one call of the function: of stale ones, or of all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import compress
from typing import Any, NamedTuple

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._loading.hit_counter import count_for_each
from langcache_cli.caching._loading.load import Load
from langcache_cli.caching._loading.many.load_many import LoadMany, Outcomes, as_taken
from langcache_cli.caching._loading.reader import Reader
from langcache_cli.caching._loading.refresh import was_invalidated
from langcache_cli.caching._protocol.entry import Entry
from langcache_cli.caching._protocol.lease import Lease, new_leases
from langcache_cli.caching._single_flight.flight import LoadResult
from langcache_cli.caching._single_flight.running_loads import RunningLoads


class Due(NamedTuple):
    """An entry that was found.

    Attributes:
        key: Its key.
        tag_keys: Of its tags.
        entry: The entry.
        is_due: The decision of `Lifetime.draw_refresh` for this look-up.
    """

    key: str
    tag_keys: tuple[str, ...]
    entry: Entry
    is_due: bool


async def refresh_many(
    reader: Reader,
    load: LoadMany,
    found: Sequence[Due],
    load_of: Callable[[str], Load],
    *,
    in_background: bool,
) -> Mapping[str, Any]:
    """`value_or_refreshed` for many entries: one load of those that are due and that no other load replaces.

    Returns:
        By key what takes the place of old values: new ones, or the error of a load whose old value was
        invalidated meanwhile. Nothing if the load runs in the background.
    """
    runtime, lifetime, now_ms = reader.runtime, reader.lifetime, reader.runtime.now_ms()
    if lifetime.stale_seconds:
        stale = [one.key for one in found if now_ms >= one.entry.fresh_until_ms]
        count_for_each(runtime, reader.label, "stale", stale)
    oldest = runtime.loop.time() - runtime.longest_load_ms / 1000
    running = runtime.running_loads
    due = [
        one
        for one in found
        if one.is_due
        and not runtime.is_leased(one.entry, now_ms)
        and not running.is_refreshing(one.key, oldest)
    ]
    if not due:
        return {}
    leases = new_leases([one.key for one in due])
    flight = running.start_many(
        leases,
        partial(load.run_if_elected, leases, [one.tag_keys for one in due], [one.entry for one in due]),
        served=True,
        in_background=in_background,
    )
    if in_background:
        return {}
    results: Sequence[LoadResult | Exception]
    try:
        results = await flight.run()
    except Exception as error:  # noqa: BLE001 - raised below, unless the old value may be served
        results = [error] * len(due)
    return await _replacements(due, leases, results, load_of)


async def replace_many(
    load: LoadMany,
    running: RunningLoads,
    leases: Sequence[Lease],
    tag_keys: Sequence[tuple[str, ...]],
) -> Outcomes:
    """Claim leases from any loads that have them, load and store; while Redis cannot be used, only load.

    Args:
        load: The load.
        running: The loads of the event loop: until the leases are claimed, others may join this one.
        leases: The leases.
        tag_keys: Of the tags of each.
    """
    load.has_claimed = True
    taken: Sequence[bool | None]
    try:
        await load.leases.admission.admitted()  # here, not before: refreshes of these keys can join meanwhile
        tagged = await load.leases.with_tags(leases, tag_keys)
        claimed = [one for one in tagged if isinstance(one, Lease)]
        replies = iter(await load.leases.claim(claimed))
        taken = [next(replies) or None if isinstance(one, Lease) else None for one in tagged]
        leases = [one if isinstance(one, Lease) else lease for one, lease in zip(tagged, leases, strict=True)]
    except CacheError:
        taken = [None] * len(leases)
    except asyncio.CancelledError:
        _give_back_claimed(load, leases)
        raise
    for lease in leases:
        running.has_claimed(lease.key)
    ours = list(compress(leases, taken))
    lost = [lease for lease, is_ours in zip(leases, taken, strict=True) if is_ours is None]
    _give_back_claimed(load, lost)
    load.count("bypassed", [lease.key for lease in lost])
    results = await load.load_and_store(ours, serving=True, unstored=lost)
    return as_taken(taken, results, len(ours))


def _give_back_claimed(load: LoadMany, leases: Sequence[Lease]) -> None:
    """After a claim without an answer, whose outcome is unknown: Redis may have given the leases."""
    load.leases.release_soon(leases, entries_too=False)
    load.give_back(leases, serving=True)


async def _replacements(
    due: Sequence[Due],
    leases: Sequence[Lease],
    results: Sequence[LoadResult | Exception],
    load_of: Callable[[str], Load],
) -> Mapping[str, Any]:
    replacements: dict[str, Any] = {}
    failed: list[tuple[str, set[str], Exception]] = []
    for one, lease, result in zip(due, leases, results, strict=True):
        if isinstance(result, Exception):
            failed.append((one.key, {one.entry.id, lease.token}, result))
        elif result.found is None:
            replacements[one.key] = result.value
    gone = await asyncio.gather(*(was_invalidated(load_of(key), ids) for key, ids, _ in failed))
    replacements.update(
        {key: error for (key, _, error), is_gone in zip(failed, gone, strict=True) if is_gone}
    )
    return replacements
