"""Prolonging leases while their load runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from time import monotonic
from typing import Any, Self

from langcache_cli.caching._protocol.store import Lease, Store
from langcache_cli.caching._single_flight.lease_keeper import LeaseKeeper
from langcache_cli.caching._single_flight.nesting import LoadScope

RENEWALS_PER_LEASE = 3
"""A lease survives two renewals that were lost."""

LEASES_TO_BE_SURE = 2
"""So many leases after the last renewal they have ended, even if that took effect late."""


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
        self._surely_ended_seconds = LEASES_TO_BE_SURE * store.lease_ms / 1000
        self._has_ended = False
        self._loop = asyncio.get_running_loop()
        self._scope = LoadScope([lease.token for lease in leases])

    def __enter__(self) -> Self:
        self._scope.__enter__()
        self.renewed_at = monotonic()
        self.ends_at = self.renewed_at + self._load_timeout
        if self._keeper is not None:
            self._keeper.add(self)
        self._timer = self._loop.call_later(self._interval, self._renew)
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._keeper is not None:
            self._keeper.remove(self)
        self._scope.__exit__()

    def why_ended(self) -> str | None:
        """Why the leases have ended by now; None if they may be held, or were lost to somebody else."""
        now = monotonic()
        if not (self._has_ended or now - self.renewed_at > self._surely_ended_seconds):
            return None
        if now > self.ends_at:
            return f"it took longer than LANGCACHE_LOAD_TIMEOUT ({self._load_timeout:g} s)"
        return (
            "it kept the event loop, and every thread, busy for longer than LANGCACHE_LEASE_SECONDS "
            f"({self._store.lease_ms / 1000:g} s); load in smaller pieces, or in another process"
        )

    def _renew(self) -> None:
        now = monotonic()
        self._has_ended |= now - self.renewed_at > self._surely_ended_seconds
        self.renewed_at = now
        if self.renewed_at < self.ends_at:
            self._spawn(self._store.renew(self.leases))
            self._timer = self._loop.call_later(self._interval, self._renew)
