"""Invalidations that Redis has not confirmed, and those that it confirmed in the last minute.

Whatever is in the outbox counts as invalidated in this process: it does not read the cache before Redis has
confirmed all of it. A process that is killed loses its outbox; other processes then go on serving those
entries.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from langcache_cli.caching._fork import call_in_child
from langcache_cli.caching._keys.selection import Invalidation, Selection
from langcache_cli.caching._wire.server_identity import ServerIdentity

MAX_INVALIDATIONS = 10_000
"""Upper bound; beyond it the outbox holds one invalidation, of the whole namespace."""

RECENT_SECONDS = 60.0
"""A failover may lose what the old server confirmed in its last moments: what another server
confirmed within this time is sent again."""

SEVERAL = ServerIdentity("several")
"""In place of the server that confirmed an invalidation: equal to none."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An invalidation in the outbox.

    Attributes:
        number: Changes when it is asked for again.
        count: How many invalidations it stands for.
    """

    number: int
    count: int


@dataclass(frozen=True, slots=True)
class Confirmed:
    """An invalidation that was confirmed.

    Attributes:
        since: When it was confirmed for the first time, by `time.monotonic`.
        server: Which server confirmed it last; None if it does not say who it is.
    """

    since: float
    server: ServerIdentity | None


class Outbox:
    """What must be invalidated before this process reads the cache again. Threads may share it."""

    def __init__(self, everything: Selection, *, limit: int = MAX_INVALIDATIONS) -> None:
        """Start empty; ``everything`` takes the place of more than ``limit`` invalidations."""
        self._everything = everything
        self._limit = limit
        self.unconfirmed: dict[Invalidation, Waiting] = {}
        """The contents, in order. Read-only for others. Readers hold a reference and test it at every hit:
        this dict is never replaced."""
        self._recent: dict[Invalidation, Confirmed] = {}
        self._replayed: dict[Invalidation, float] = {}
        """When an invalidation that is sent again was first confirmed: its minute does not start anew."""
        self._number = 0
        self._lock = threading.Lock()
        call_in_child(self, "_start_in_child")

    def __len__(self) -> int:
        """The number of invalidations; those merged into one count once."""
        return len(self.unconfirmed)

    def defer(self, invalidations: Iterable[Invalidation]) -> int:
        """Keep what was not confirmed; returns how many there were."""
        with self._lock:
            before = self._number
            for item in invalidations:
                self._replayed.pop(item, None)
                self._put(item, 1)
            return self._number - before

    def waiting(self) -> dict[Invalidation, Waiting]:
        """A copy of the contents, in the order in which they came."""
        with self._lock:
            return dict(self.unconfirmed)

    def delivered(self, confirmed: Mapping[Invalidation, Waiting], server: ServerIdentity | None) -> int:
        """Drop items of `waiting` that ``server`` confirmed; returns how many invalidations they stood for.

        An item that was asked for again since stays: its entry may have been stored in between.
        """
        with self._lock:
            gone = [item for item, seen in confirmed.items() if self.unconfirmed.get(item) == seen]
            self._remember(gone, server)
            return sum(self.unconfirmed.pop(item).count for item in gone)

    def remember(self, invalidations: Collection[Invalidation], server: ServerIdentity | None) -> None:
        """Remember for a minute what ``server`` has just confirmed."""
        with self._lock:
            for item in invalidations:
                self._replayed.pop(item, None)
            self._remember(invalidations, server)

    def defer_recent(self, server: ServerIdentity | None, *, reconnected: bool) -> int:
        """Put back what was confirmed in the last minute, unless ``server`` itself has confirmed it.

        Args:
            server: The server at the other end of a new connection; None if it does not say who it is.
            reconnected: The event loop had a connection before. Servers that do not say who they are count as
                the same one only without.
        """
        with self._lock:
            self._forget_old(time.monotonic())
            lost = {
                item: known.since
                for item, known in self._recent.items()
                if known.server != server or (server is None and reconnected)
            }
            for item, since in lost.items():
                del self._recent[item]
                self._replayed.setdefault(item, since)
                self._put(item, 1)
            return len(lost)

    def has_recent(self) -> bool:
        """True if something was confirmed in the last minute: another server would have to have it, too."""
        with self._lock:
            self._forget_old(time.monotonic())
            return bool(self._recent)

    def _start_in_child(self) -> None:
        """Keep everything, as this process reads the same server; the parent counts what is delivered."""
        self._lock = threading.Lock()
        for item, waiting in tuple(self.unconfirmed.items()):
            self.unconfirmed[item] = Waiting(waiting.number, 0)

    def _put(self, item: Invalidation, count: int) -> None:
        self._number += 1
        known = self.unconfirmed.get(item)
        if known is None and len(self.unconfirmed) >= self._limit:
            count += sum(waiting.count for waiting in self.unconfirmed.values())
            self.unconfirmed.clear()
            item = self._everything
        elif known is not None:
            count += known.count
        self.unconfirmed[item] = Waiting(self._number, count)

    def _remember(self, invalidations: Iterable[Invalidation], server: ServerIdentity | None) -> None:
        now = time.monotonic()
        self._forget_old(now)
        for item in invalidations:
            self._recent.pop(item, None)
            self._recent[item] = Confirmed(self._replayed.pop(item, now), server)
        if len(self._recent) > self._limit:
            same = all(known.server == server for known in self._recent.values())
            self._recent = {self._everything: Confirmed(now, server if same else SEVERAL)}

    def _forget_old(self, now: float) -> None:
        while self._recent:
            oldest = next(iter(self._recent))
            if self._recent[oldest].since > now - RECENT_SECONDS:
                return
            del self._recent[oldest]
