"""Caches that break a promise on purpose: the checker must find that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langcache_cli.caching._near.tracking import NearCache
from langcache_cli.caching._protocol.lease import Lease
from langcache_cli.caching._protocol.store import Store
from langcache_cli.caching._runtime.loop_runtime import Runtime
from tests.integration.race_worker import UnguardedStore

DEFECTS = {
    "unguarded": "without the commit check: stale reads follow",
    "unleased": "without leases: every process loads when it finds nothing",
    "deaf": "without reading what Redis says has changed: stale reads of what is in memory follow",
}


class UnleasedStore(UnguardedStore):
    """What a cache without leases does: every call that finds nothing loads and stores."""

    async def acquire(self, leases: Sequence[Lease], *_: Any, **__: Any) -> list[Any]:
        return [None] * len(leases)

    async def claim(self, leases: Sequence[Lease], *_: Any, **__: Any) -> list[Any]:
        return [1] * len(leases)

    async def elect(self, leases: Sequence[Lease], *_: Any, **__: Any) -> list[Any]:
        return [1] * len(leases)


STORES: dict[str, type[Store]] = {"unguarded": UnguardedStore, "unleased": UnleasedStore}


def break_cache(runtime: Runtime, defect: str) -> None:
    """Give the cache of one event loop a defect, before it is used; ``""`` for none."""
    if defect in STORES:
        lease_seconds = runtime.store.lease_ms / 1000
        runtime.store = STORES[defect](runtime.server, lease_seconds=lease_seconds, now_ms=runtime.now_ms)
    if defect == "deaf":
        NearCache._on_push = lambda *_: None  # type: ignore[method-assign]
