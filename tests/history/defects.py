"""Caches that break a promise on purpose: the checker must find that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langcache_cli.caching._deployment.cluster import cluster
from langcache_cli.caching._deployment.cluster.exchange import Item
from langcache_cli.caching._deployment.cluster.router import Router
from langcache_cli.caching._loading.leases import Leases
from langcache_cli.caching._near.tracking import NearCache
from langcache_cli.caching._protocol import tagged_leases
from langcache_cli.caching._protocol.lease import Lease
from langcache_cli.caching._protocol.store import Store
from langcache_cli.caching._runtime.loop_runtime import Runtime
from tests.integration.race_worker import UnguardedStore

DEFECTS = {
    "unguarded": "without the commit check: stale reads follow",
    "unleased": "without leases: every process loads when it finds nothing",
    "deaf": "without reading what Redis says has changed: stale reads of what is in memory follow",
    "unwitnessed": "without asking another node about one that was silent: stale reads of a woken one follow",
    "one-copy": "without EXISTS after UNLINK: stale reads of the copy of a slot on its way follow",
    "unchecked": "without reading tags again before an entry is replaced: runs that overlap follow",
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
    if defect in PATCHES:
        PATCHES[defect]()


def _deafen() -> None:
    NearCache._on_push = lambda *_: None  # type: ignore[method-assign]


def _trust_silent_nodes() -> None:
    async def nothing(*_: Any) -> None:
        return None

    Router.contradiction = nothing  # type: ignore[method-assign]


def _remove_one_copy() -> None:
    cluster.removals = lambda keys: [Item(key, [("UNLINK", key)]) for key in keys]


def _believe_tags() -> None:
    async def nothing(*_: Any) -> None:
        return None

    tagged_leases._outdated = lambda *_: set()
    Leases._read_tags_again = nothing  # type: ignore[method-assign]


PATCHES: dict[str, Callable[[], None]] = {
    "deaf": _deafen,
    "unwitnessed": _trust_silent_nodes,
    "one-copy": _remove_one_copy,
    "unchecked": _believe_tags,
}
