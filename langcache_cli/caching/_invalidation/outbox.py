"""Invalidations that Redis has not confirmed, and those it confirmed a moment ago.

What is here was invalidated as far as this process is concerned: it does not read the cache before
Redis has confirmed all of it. A process that is killed loses its outbox, and with it the word to others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from langcache_cli.caching._keys.selection import Invalidation, Selection

MAX_INVALIDATIONS = 10_000
"""More than that become one: of the whole namespace."""

RECENT_SECONDS = 60.0
"""A failover may lose what the old server confirmed in its last moments. After a new connection the
invalidations of this time are sent again."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An invalidation in the outbox.

    Attributes:
        number: Changes when it is asked for again.
        count: For how many invalidations it stands.
    """

    number: int
    count: int


class Outbox:
    """What has to be invalidated before this process reads the cache again. Threads may share it."""

    def __init__(self, everything: Selection, *, limit: int = MAX_INVALIDATIONS) -> None:
        """Start empty; ``everything`` is what to invalidate when there is no room for more than ``limit``."""
        self._everything = everything
        self._limit = limit
        self.unconfirmed: dict[Invalidation, Waiting] = {}
        """What waits, in the order in which it came. Not to be changed from outside."""
        self._recent: dict[Invalidation, float] = {}
        self._replayed: dict[Invalidation, float] = {}
        """When what is sent once more was confirmed first: its minute does not begin again."""
        self._number = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many invalidations wait; those that became one count one."""
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
        """What waits now, in the order in which it came."""
        with self._lock:
            return dict(self.unconfirmed)

    def delivered(self, confirmed: Mapping[Invalidation, Waiting]) -> int:
        """Redis has confirmed part of what `waiting` returned; returns for how many invalidations it stood.

        What was asked for again since then stays: it may have been stored once more in between.
        """
        with self._lock:
            gone = [item for item, seen in confirmed.items() if self.unconfirmed.get(item) == seen]
            self._remember(gone)
            return sum(self.unconfirmed.pop(item).count for item in gone)

    def confirmed(self, invalidations: Collection[Invalidation]) -> None:
        """Remember for a minute what Redis has just confirmed."""
        with self._lock:
            for item in invalidations:
                self._replayed.pop(item, None)
            self._remember(invalidations)

    def defer_recent(self) -> int:
        """The server may be another one now: invalidate once more what was confirmed in the last minute."""
        with self._lock:
            oldest = time.monotonic() - RECENT_SECONDS
            recent = {item: since for item, since in self._recent.items() if since > oldest}
            self._recent = {}
            for item, since in recent.items():
                self._replayed.setdefault(item, since)
                self._put(item, 1)
            return len(recent)

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

    def _remember(self, invalidations: Iterable[Invalidation]) -> None:
        now = time.monotonic()
        self._forget_old(now)
        for item in invalidations:
            self._recent.pop(item, None)
            self._recent[item] = self._replayed.pop(item, now)
        if len(self._recent) > self._limit:
            self._recent = {self._everything: now}

    def _forget_old(self, now: float) -> None:
        while self._recent:
            oldest = next(iter(self._recent))
            if self._recent[oldest] > now - RECENT_SECONDS:
                return
            del self._recent[oldest]
