"""Loading the value that replaces an entry: elected to do so, or by an explicit refresh."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._loading.load import Load
from langcache_cli.caching._protocol.entry import Entry, parse
from langcache_cli.caching._protocol.lease import Lease
from langcache_cli.caching._protocol.results import raise_errors
from langcache_cli.caching._single_flight.flight import NOT_RUN, LoadResult
from langcache_cli.caching._wire.budget import Budget

logger = logging.getLogger("langcache_cli.caching")


async def load_if_elected(load: Load, lease: Lease, seen: Entry) -> LoadResult:
    """Take the lease of an entry that is served meanwhile, load and store.

    If the load fails, or the outcome of the election is unknown, the old entry keeps the mark of the lease:
    it is served, and no process tries again before the lease or the entry ends. It is not kept longer than
    without the lease, as no load runs for which calls could wait after its end.
    """
    with load.renewing(lease):
        return await _load_if_elected(load, lease, seen)


async def _load_if_elected(load: Load, lease: Lease, seen: Entry) -> LoadResult:
    try:
        lease = await load.with_tags(lease)
        if lease.tag_versions != seen.tag_versions:  # invalidated since it was seen: the next call misses
            return LoadResult(found=b"")
        (elected,) = raise_errors(await load.runtime.store.elect([lease], [seen.id], load.budget))
    except CacheError:
        let_seen_end_soon([load], [lease], [seen])
        return LoadResult(found=b"")
    except asyncio.CancelledError:
        let_seen_end_soon([load], [lease], [seen])
        raise
    if not elected:
        return LoadResult(found=b"")
    try:
        value, entry = await load.run_leased(lease)
    except BaseException as error:  # a cancelled load, too, leaves a lease
        if isinstance(error, Exception):
            warn_still_served(load, error)
        let_end_soon(load, lease)
        raise
    return await load.store_or_supersede(lease, value, entry)


async def replace(load: Load, lease: Lease) -> LoadResult:
    """Claim the lease from any load that has it, load and store: an explicit refresh."""
    await load.runtime.admission.admitted()  # here, not before: refreshes of this key can join meanwhile
    with load.renewing(lease):
        return await _replace(load, lease)


async def _replace(load: Load, lease: Lease) -> LoadResult:
    errors_as_unavailable = load.runtime.server.errors_as_unavailable
    try:
        with errors_as_unavailable():
            lease = await load.with_tags(lease)
            (entry_stays,) = raise_errors(await load.runtime.store.claim([lease], load.budget))
            load.runtime.running_loads.has_claimed(load.key)
    except CacheError as error:
        load.give_back_placeholder(lease)  # Outcome unknown: Redis may have given the lease.
        let_end_soon(load, lease)
        return LoadResult(NOT_RUN, failure=error)
    except asyncio.CancelledError:
        load.abandon(lease)
        raise
    try:
        value, entry = await load.run_leased(lease)
    except asyncio.CancelledError:
        if entry_stays:
            let_end_soon(load, lease)
        else:
            load.abandon(lease)
        raise
    except BaseException:  # not only errors: whatever ends the load leaves a lease
        if entry_stays:
            let_end_soon(load, lease)
        else:
            load.release_soon(lease)
        raise
    try:
        with errors_as_unavailable():
            if not await load.store(lease, entry):
                # Another refresh may have claimed the old entry after us: it must not outlive this call.
                raise_errors(await load.runtime.store.withdraw([lease], load.budget))
                return await load.value_of_successor(LoadResult(value, entry), joins=True)
    except CacheError as error:  # raised by the call that asked for the refresh, not by those that joined
        load.give_up_storing(lease, entry, error)
        return LoadResult(value, entry, failure=error)
    except asyncio.CancelledError:
        load.abandon(lease)
        raise
    return LoadResult(value, entry)


def warn_still_served(load: Load, error: Exception) -> None:
    """Log the error of a load whose old value goes on being served."""
    shown = repr(error) if load.runtime.settings.log_values else type(error).__name__
    logger.warning("%s failed; its stored value is served: %s", load.spec.name, shown)


def let_seen_end_soon(loads: Sequence[Load], leases: Sequence[Lease], seen: Sequence[Entry]) -> None:
    """After an election without an answer: let entries end when they would have ended without the leases."""
    if leases and not (runtime := loads[0].runtime).server.is_down:
        left_ms = [_left_ms(load, entry) for load, entry in zip(loads, seen, strict=True)]
        runtime.spawn(runtime.store.release(leases, left_ms=left_ms))


def let_end_soon(load: Load, lease: Lease) -> None:
    """`_let_end` in the background; nothing while Redis is down."""
    if not load.runtime.server.is_down:
        load.runtime.spawn(_let_end(load, lease))


async def _let_end(load: Load, lease: Lease) -> None:
    """After a failed refresh: let the old entry end when it would have ended without the lease.

    No load runs under this lease any more, so no call may wait for it.
    """
    store = load.runtime.store
    found = parse((await store.look_up(load.key, Budget(store.server.timeout))).stored or b"")
    if found is None or found.id != lease.token:
        return
    await store.release([lease], left_ms=[_left_ms(load, found) if isinstance(found, Entry) else 0])


def _left_ms(load: Load, entry: Entry) -> int:
    """For how long an entry without a lease is kept from now on."""
    return max(0, entry.fresh_until_ms + load.lifetime.stale_ms - load.runtime.now_ms())
