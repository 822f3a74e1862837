"""Giving back the leases of loads that have failed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._protocol.lease import Lease
from langcache_cli.caching._protocol.store import Store
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._single_flight.shared_errors import describe
from langcache_cli.caching._wire.budget import Budget


async def fail_leases(
    runtime: Runtime,
    store: Store,
    leases: Sequence[Lease],
    errors: Sequence[Exception | None],
    budget: Budget | None,
) -> None:
    """Give leases back before the errors of their loads are raised: a later call must load anew.

    If Redis does not confirm it within the budget, they are given back in the background.

    Args:
        runtime: Of the running event loop.
        store: Where the leases are.
        leases: The leases.
        errors: Of the load of each; None stands for an unusable value.
        budget: Upper bound for the time.
    """
    if not leases:
        return
    described = [describe(error) if error is not None else b"" for error in errors]
    try:
        await store.fail(leases, described, budget)
    except CacheError:
        runtime.release_soon(store, leases)  # perhaps only the time of this call was spent
    except asyncio.CancelledError:
        runtime.release_soon(store, leases)
        raise
