"""Prolonging leases while their load runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from time import monotonic
from typing import Any

from langcache_cli.caching._protocol.store import Lease, Store
from langcache_cli.caching._single_flight.lease_keeper import LeaseKeeper
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
        keeper: LeaseKeeper | None = None,
    ) -> None:
        """Prepare.

        Args:
            store: Where the leases are.
            leases: The leases.
            load_timeout: For how many seconds they are prolonged.
            spawn: Runs a renewal in the background.
            keeper: Prolongs them while the event loop is blocked.
        """
        self._store = store
        self.leases = leases
        self._load_timeout = load_timeout
        self._spawn = spawn
        self._keeper = keeper
        self._interval = store.lease_ms / 1000 / RENEWALS_PER_LEASE
        self._loop = asyncio.get_running_loop()
        self._scope = LoadScope([lease.token for lease in leases])

    def __enter__(self) -> None:
        self._scope.__enter__()
        self.renewed_at = monotonic()
        self.ends_at = self.renewed_at + self._load_timeout
        if self._keeper is not None:
            self._keeper.add(self)
        self._timer = self._loop.call_later(self._interval, self._renew)

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._keeper is not None:
            self._keeper.remove(self)
        self._scope.__exit__()

    def _renew(self) -> None:
        self.renewed_at = monotonic()
        if self.renewed_at < self.ends_at:
            self._spawn(self._store.renew(self.leases))
            self._timer = self._loop.call_later(self._interval, self._renew)
