"""Prolonging leases while their load runs."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from time import monotonic
from typing import Any, Self

from langcache_cli.caching._protocol.lease import Lease
from langcache_cli.caching._protocol.store import Store
from langcache_cli.caching._single_flight.lease_keeper import RENEWALS_PER_LEASE, LeaseKeeper
from langcache_cli.caching._single_flight.nesting import LoadScope

LEASES_AT_ONCE = 500
"""So many leases are renewed in one step, which takes the event loop a few milliseconds."""

PAUSE_SECONDS = 0.005
"""Between two such steps."""

LEASES_TO_BE_SURE = 2
"""So many leases after the last renewal they have ended, even if that took effect late."""


class LeaseRenewal:
    """A context manager inside which the leases of one load are prolonged; also a `LoadScope`."""

    def __init__(self, leases: Sequence[Lease], renewals: LeaseRenewals) -> None:
        """Prepare."""
        self.leases = leases
        self.renewed_at = 0.0
        self.ends_at = 0.0
        self.has_ended = False
        """True once they were surely ended between two renewals."""
        self._renewals = renewals
        self._scope = LoadScope([lease.token for lease in leases])

    def __enter__(self) -> Self:
        self._scope.__enter__()
        self._renewals.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._renewals.remove(self)
        self._scope.__exit__()

    def why_ended(self) -> str | None:
        """Why the leases have ended by now; None if they may be held, or were lost to another client."""
        return self._renewals.why_ended(self)


class LeaseRenewals:
    """Prolongs the leases of all loads under way from one timer, so a quick load costs no command.

    It stops ``load_timeout`` seconds after a load began: one that hangs must not block other processes for
    ever.
    """

    def __init__(
        self,
        store: Store,
        *,
        load_timeout: float,
        spawn: Callable[[Coroutine[Any, Any, Any]], object],
        keeper: LeaseKeeper | None = None,
    ) -> None:
        """Prepare.

        Args:
            store: Where the leases are.
            load_timeout: For how many seconds those of one load are prolonged.
            spawn: Runs a renewal in the background.
            keeper: Prolongs them while the event loop is blocked.
        """
        self._store = store
        self._load_timeout = load_timeout
        self._spawn = spawn
        self._keeper = keeper
        self._interval = store.lease_ms / 1000 / RENEWALS_PER_LEASE
        self._surely_ended_seconds = LEASES_TO_BE_SURE * store.lease_ms / 1000
        self._loop = asyncio.get_running_loop()
        self._running: OrderedDict[LeaseRenewal, None] = OrderedDict()
        """In the order in which they are due."""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, renewal: LeaseRenewal) -> None:
        """Prolong the leases of a load that begins now."""
        renewal.renewed_at = monotonic()
        renewal.ends_at = renewal.renewed_at + self._load_timeout
        self._running[renewal] = None
        if self._keeper is not None:
            self._keeper.add(renewal)
        if self._timer is None:
            self._timer = self._loop.call_later(self._interval, self._renew_due)

    def remove(self, renewal: LeaseRenewal) -> None:
        """The load has ended."""
        self._running.pop(renewal, None)
        if self._keeper is not None:
            self._keeper.remove(renewal)

    def why_ended(self, renewal: LeaseRenewal) -> str | None:
        """See `LeaseRenewal.why_ended`."""
        now = monotonic()
        if not (renewal.has_ended or now - renewal.renewed_at > self._surely_ended_seconds):
            return None
        if now > renewal.ends_at:
            return f"it took longer than LANGCACHE_LOAD_TIMEOUT ({self._load_timeout:g} s)"
        return (
            "it kept the event loop, and every thread, busy for longer than LANGCACHE_LEASE_SECONDS "
            f"({self._store.lease_ms / 1000:g} s); load in smaller pieces, or in another process"
        )

    def _renew_due(self) -> None:
        self._timer = None
        leases: list[Lease] = []
        now = monotonic()
        while self._running:
            renewal = next(iter(self._running))
            due_in = renewal.renewed_at + self._interval - now
            if due_in > PAUSE_SECONDS or len(leases) >= LEASES_AT_ONCE:
                self._timer = self._loop.call_later(max(due_in, PAUSE_SECONDS), self._renew_due)
                break
            renewal.has_ended |= now - renewal.renewed_at > self._surely_ended_seconds
            renewal.renewed_at = now
            if now < renewal.ends_at:
                leases += renewal.leases
                self._running.move_to_end(renewal)
            else:
                del self._running[renewal]
        if leases:
            self._spawn(self._store.renew(leases))
