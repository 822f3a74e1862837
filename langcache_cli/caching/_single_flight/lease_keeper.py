"""Prolonging leases while their event loop is blocked, as by a model or a parser that does not await.

The timer of `LeaseRenewal` cannot run then. A thread watches the loads of one event loop, and renews what
that loop has not. It lives only while there are loads, and connects only when the loop is late.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from time import monotonic, sleep
from typing import Protocol

from langcache_cli.caching._config.settings import CacheSettings
from langcache_cli.caching._deployment.new_server import new_server
from langcache_cli.caching._deployment.route import Route
from langcache_cli.caching._errors import CacheError, CacheUnavailableError
from langcache_cli.caching._protocol.lease import Lease
from langcache_cli.caching._protocol.store import Store
from langcache_cli.caching._wire.externals import Externals

RENEWALS_PER_LEASE = 3
"""A lease survives two renewals that were lost."""

LATE = 1.5
"""A loop that has missed its renewal by half an interval is blocked."""

IDLE_ROUNDS = 10
"""The thread ends after so many rounds without loads."""


class Kept(Protocol):
    """Leases of a load under way."""

    renewed_at: float
    """When they were last renewed, by `time.monotonic`."""

    ends_at: float
    """When they must no longer be renewed."""

    @property
    def leases(self) -> Sequence[Lease]:
        """The leases."""
        ...


class LeaseKeeper:
    """The watch over the loads of one event loop. Its methods are called from that loop."""

    def __init__(self, new_store: Callable[[], Store], *, interval: float) -> None:
        """Prepare; no thread is started before the first load.

        Args:
            new_store: Makes a store for the event loop of the thread.
            interval: Seconds between the renewals of a loop that is not blocked.
        """
        self._new_store = new_store
        self._interval = interval
        self._kept: dict[int, Kept] = {}
        self._thread: threading.Thread | None = None

    @classmethod
    def of(cls, settings: CacheSettings) -> LeaseKeeper:
        """The keeper of leases of which each survives `RENEWALS_PER_LEASE` - 1 lost renewals."""
        seconds = settings.lease_seconds
        interval = seconds / RENEWALS_PER_LEASE
        # a node of a cluster that hangs must not hold up the next renewal on the others
        timeout = interval if settings.target.kind == "cluster" else seconds

        def new_store() -> Store:
            # a route of its own: this runs in the event loop of the thread
            route = Route(settings.target, Externals(), timeout=timeout, watched=False)
            return Store(new_server(route, timeout=timeout), lease_seconds=seconds)

        return cls(new_store, interval=interval)

    def add(self, kept: Kept) -> None:
        """Watch a load; in a child of a fork, too, which has no thread yet."""
        self._kept[id(kept)] = kept
        if self._thread is None or not self._thread.is_alive():
            self._start()

    def remove(self, kept: Kept) -> None:
        """The load has ended."""
        self._kept.pop(id(kept), None)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="langcache-leases", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the system allows no more threads: the next load tries again
            self._thread = None

    def _run(self) -> None:
        idle_rounds = 0
        while idle_rounds < IDLE_ROUNDS:
            sleep(self._interval / 2)  # often enough to see a late renewal before the lease ends
            idle_rounds = 0 if self._kept else idle_rounds + 1
            late = self._late()
            if late:
                with contextlib.suppress(CacheError):  # the next round tries again
                    asyncio.run(self._renew(late))
        if self._thread is threading.current_thread():
            self._thread = None
            if self._kept:  # added since, while this thread seemed to be there
                self._start()

    def _late(self) -> list[Kept]:
        now = monotonic()
        return [
            kept
            for kept in tuple(self._kept.values())
            if kept.renewed_at + LATE * self._interval < now < kept.ends_at
        ]

    async def _renew(self, late: Sequence[Kept]) -> None:
        """Renew over a connection of its own: that of the load belongs to the loop that is blocked."""
        store = self._new_store()
        started = monotonic()  # the last reply says nothing: a node that hangs delays it
        try:
            leases = [(kept, lease) for kept in late for lease in kept.leases]
            replies = await store.renew([lease for _, lease in leases])
            still_late = {
                id(kept)
                for (kept, _), reply in zip(leases, replies, strict=True)
                if isinstance(reply, CacheUnavailableError)  # its node is away
            }
            for kept in late:
                if id(kept) not in still_late:
                    kept.renewed_at = max(kept.renewed_at, started)
        finally:
            store.server.abandon()
            await asyncio.sleep(0)  # the transport closes its socket in the next turn of the loop
