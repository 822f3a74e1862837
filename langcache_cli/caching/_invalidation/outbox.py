"""Invalidations that Redis has not confirmed, and those that it confirmed in the last minute.

Whatever is in the outbox counts as invalidated in this process: it does not read these keys before Redis has
confirmed it. A process that is killed loses its outbox; other processes then go on serving those entries.

In a cluster each node confirms for the slots that it serves: a key is in one slot, a selection in all. One
server has all slots.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence

from langcache_cli.caching._deployment.cluster.slots import ALL_SLOTS
from langcache_cli.caching._fork import call_in_child
from langcache_cli.caching._invalidation.concerned import Concerned
from langcache_cli.caching._invalidation.recent import Recent
from langcache_cli.caching._invalidation.waiting import Waiting, slots_of_all
from langcache_cli.caching._keys.selection import Invalidation, Selection
from langcache_cli.caching._wire.server_identity import ServerIdentity

MAX_INVALIDATIONS = 10_000
"""Upper bound; beyond it the outbox holds one invalidation, of the whole namespace in the slots concerned."""


class Outbox:
    """What must be invalidated before this process reads it again. Threads may share it."""

    def __init__(self, everything: Selection, *, limit: int = MAX_INVALIDATIONS) -> None:
        """Start empty; ``everything`` takes the place of more than ``limit`` invalidations."""
        self.everything = everything
        self.limit = limit
        self.unconfirmed: dict[Invalidation, Waiting] = {}
        """The contents, in order. Read-only for others. Readers hold a reference and test it at every hit:
        this dict is never replaced."""
        self._concerned = Concerned(self.unconfirmed)
        self._recent = Recent(everything, limit=limit)
        self._number = 0
        self._lock = threading.Lock()
        call_in_child(self, "_start_in_child")

    def __len__(self) -> int:
        """The number of invalidations; those merged into one count once."""
        return len(self.unconfirmed)

    def concerns(self, keys: Sequence[str]) -> bool:
        """True if an entry may not be read now; ``keys`` are its own and those of its tags."""
        return bool(self.unconfirmed) and self._concerned.has_any(keys, self._lock)

    def defer(self, invalidations: Iterable[Invalidation], *, slots: int = ALL_SLOTS) -> int:
        """Keep what was not confirmed; returns how many there were.

        Args:
            invalidations: The invalidations.
            slots: Where selections were not confirmed.
        """
        with self._lock:
            before = self._number
            for item in invalidations:
                self._recent.begin_anew(item)
                self._put(item, 1, slots)
            return self._number - before

    def hold(self, invalidations: Iterable[Invalidation]) -> dict[Invalidation, int]:
        """Keep what is about to be confirmed: as `defer`, but it counts as none.

        Returns:
            What `release` needs once it is confirmed.
        """
        with self._lock:
            held = dict[Invalidation, int]()
            for item in invalidations:
                self._recent.begin_anew(item)
                self._put(item, 0, ALL_SLOTS)
                held[item] = self._number
            return held

    def release(self, held: Mapping[Invalidation, int]) -> int:
        """Drop what `hold` has kept and Redis has confirmed, unless it was asked for again since.

        Returns:
            How many deferred invalidations were confirmed with it.
        """
        count = 0
        with self._lock:
            for item, number in held.items():
                waiting = self.unconfirmed.get(item)
                if waiting is not None and waiting.number == number:
                    count += self.unconfirmed.pop(item).count
                    if isinstance(item, Selection):
                        self._concerned.selections_changed()
        return count

    def waiting(self) -> dict[Invalidation, Waiting]:
        """A copy of the contents, in the order in which they came."""
        with self._lock:
            return dict(self.unconfirmed)

    def delivered(
        self,
        confirmed: Mapping[Invalidation, Waiting],
        server: ServerIdentity | None,
        *,
        slots: int = ALL_SLOTS,
    ) -> int:
        """Drop items of `waiting` that ``server`` confirmed; returns how many invalidations they stood for.

        An item that was asked for again since stays: its entry may have been stored in between.

        Args:
            confirmed: The items.
            server: Which server it was; None if it does not say who it is.
            slots: Where it has confirmed selections. They stay until no slot is left to do.
        """
        count = 0
        with self._lock:
            for item, seen in confirmed.items():
                waiting = self.unconfirmed.get(item)
                if waiting is None or waiting.number != seen.number:
                    continue
                left = waiting.slots & ~slots if isinstance(item, Selection) else 0
                self._recent.add(item, server, slots, is_whole=not left)
                if left:
                    self.unconfirmed[item] = Waiting(waiting.number, waiting.count, left)
                else:
                    count += self.unconfirmed.pop(item).count
                if isinstance(item, Selection):
                    self._concerned.selections_changed()
        return count

    def remember(
        self,
        invalidations: Collection[Invalidation],
        server: ServerIdentity | None,
        *,
        slots: int = ALL_SLOTS,
    ) -> None:
        """Remember for a minute what ``server`` has just confirmed, selections in these slots."""
        with self._lock:
            for item in invalidations:
                self._recent.begin_anew(item)
                self._recent.add(item, server, slots)

    def defer_recent(
        self, server: ServerIdentity | None, *, reconnected: bool, slots: int = ALL_SLOTS
    ) -> int:
        """Put back what was confirmed in the last minute, unless ``server`` itself has confirmed it.

        Args:
            server: The server at the other end of a new connection; None if it does not say who it is.
            reconnected: The event loop had a connection before. Servers that do not say who they are count as
                the same one only without.
            slots: Those that it serves.
        """
        with self._lock:
            return self._put_back(self._recent.taken(slots, server, same_if_unknown=not reconnected))

    def defer_moved(self, slots: int) -> int:
        """Put back what was confirmed in the last minute in slots that have got another owner."""
        with self._lock:
            return self._put_back(self._recent.taken(slots))

    def recent_slots(self) -> int:
        """Where something was confirmed in the last minute: another server would have to have it, too."""
        with self._lock:
            return self._recent.slots()

    def has_recent(self) -> bool:
        """True if something was confirmed in the last minute."""
        with self._lock:
            return bool(self._recent)

    def _start_in_child(self) -> None:
        """Keep everything, as this process reads the same server; the parent counts what is delivered."""
        self._lock = threading.Lock()
        for item, waiting in tuple(self.unconfirmed.items()):
            self.unconfirmed[item] = Waiting(waiting.number, 0, waiting.slots)

    def _put_back(self, lost: Mapping[Invalidation, int]) -> int:
        """Put items back in some slots; returns how many were not waiting: slots move one after the other."""
        added = 0
        for item, slots in lost.items():
            count = int(item not in self.unconfirmed)
            self._put(item, count, slots)
            added += count
        return added

    def _put(self, item: Invalidation, count: int, slots: int) -> None:
        self._number += 1
        known = self.unconfirmed.get(item)
        if known is None and len(self.unconfirmed) >= self.limit:
            count += sum(waiting.count for waiting in self.unconfirmed.values())
            places = [(one, waiting.slots) for one, waiting in self.unconfirmed.items()]
            slots = slots_of_all([*places, (item, slots)])
            self.unconfirmed.clear()
            item = self.everything
        elif known is not None:
            count, slots = count + known.count, slots | known.slots
        self.unconfirmed[item] = Waiting(self._number, count, slots)
        if isinstance(item, Selection):
            self._concerned.selections_changed()
