"""Prolonging leases while their load runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from langcache_cli.caching._protocol.store import Lease, Store
from langcache_cli.caching._single_flight.nesting import LoadScope

RENEWALS_PER_LEASE = 3
"""A lease survives two renewals that were lost."""


class LeaseRenewal:
    """Prolongs leases from a timer, so a quick load costs no command. A context manager, and a `LoadScope`.

    After ``load_timeout`` seconds it stops: a load that hangs must not block other processes for ever.
    """

    def __init__(
        self,
        store: Store,
        leases: Sequence[Lease],
        *,
        load_timeout: float,
        spawn: Callable[[Coroutine[Any, Any, Any]], object],
    ) -> None:
        """Prepare; ``spawn`` runs a renewal in the background."""
        self._store = store
        self._leases = leases
        self._load_timeout = load_timeout
        self._spawn = spawn
        self._interval = store.lease_ms / 1000 / RENEWALS_PER_LEASE
        self._loop = asyncio.get_running_loop()
        self._scope = LoadScope([lease.token for lease in leases])

    def __enter__(self) -> None:
        self._scope.__enter__()
        self._ends = self._loop.time() + self._load_timeout
        self._timer = self._loop.call_later(self._interval, self._renew)

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._scope.__exit__()

    def _renew(self) -> None:
        if self._loop.time() < self._ends:
            self._spawn(self._store.renew(self._leases))
            self._timer = self._loop.call_later(self._interval, self._renew)
