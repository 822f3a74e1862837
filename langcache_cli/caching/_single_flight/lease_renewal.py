"""Keeping a lease alive while its load runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache_cli.caching._protocol.store import Lease
from langcache_cli.caching._wire.budget import Budget

if TYPE_CHECKING:
    from langcache_cli.caching._runtime.loop_runtime import Runtime

RENEWALS_PER_LEASE = 3
"""A lease survives two renewals that went missing."""


class LeaseRenewal:
    """Renews a lease from a timer: a load that is quicker than that costs nothing."""

    def __init__(self, runtime: Runtime, lease: Lease) -> None:
        self._runtime = runtime
        self._lease = lease
        self._interval = runtime.settings.lease_seconds / RENEWALS_PER_LEASE
        self._ends = runtime.loop.time() + runtime.settings.load_timeout
        self._timer = runtime.loop.call_later(self._interval, self._beat)

    def stop(self) -> None:
        """No more renewals."""
        self._timer.cancel()

    def _beat(self) -> None:
        if self._runtime.loop.time() >= self._ends:
            return  # a load that hangs must not block others for ever: its lease may run out
        self._runtime.spawn(self._runtime.store.renew(self._lease, Budget(self._runtime.node.timeout)))
        self._timer = self._runtime.loop.call_later(self._interval, self._beat)
