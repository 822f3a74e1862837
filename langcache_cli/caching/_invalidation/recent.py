"""What was confirmed in the last minute, and which server has confirmed it.

A failover may lose what the old server confirmed in its last moments. What another server confirmed within
this time is therefore sent again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from langcache_cli.caching._deployment.cluster.slots import ALL_SLOTS
from langcache_cli.caching._invalidation.waiting import is_in, slots_of_all
from langcache_cli.caching._keys.selection import Invalidation, Selection
from langcache_cli.caching._wire.server_identity import ServerIdentity

RECENT_SECONDS = 60.0
"""A failover may lose what the old server confirmed in its last moments: what another server
confirmed within this time is sent again."""

SEVERAL = ServerIdentity("several")
"""In place of the server that confirmed an invalidation: equal to none."""

NOBODY = ServerIdentity("nobody")
"""Equal to no server, either."""

Parts = tuple[tuple[int, ServerIdentity | None], ...]
"""Slots, and the server that has confirmed there; None if it does not say who it is."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """An invalidation that was confirmed.

    Attributes:
        since: When it was confirmed for the first time, by `time.monotonic`.
        parts: By whom. A key has one part, whose slots have no meaning.
    """

    since: float
    parts: Parts


class Recent:
    """The invalidations of the last minute. `Outbox` locks it."""

    def __init__(self, everything: Selection, *, limit: int) -> None:
        """Start empty; ``everything`` takes the place of more than ``limit`` invalidations."""
        self._everything = everything
        self._limit = limit
        self._confirmed: dict[Invalidation, Confirmed] = {}
        self._replayed: dict[Invalidation, float] = {}
        """When an invalidation that is sent again was first confirmed: its minute does not start anew."""

    def __bool__(self) -> bool:
        """False if there are none."""
        self._forget_old(time.monotonic())
        return bool(self._confirmed)

    def begin_anew(self, item: Invalidation) -> None:
        """An invalidation was asked for again: its minute starts when it is confirmed."""
        self._replayed.pop(item, None)

    def add(
        self, item: Invalidation, server: ServerIdentity | None, slots: int, *, is_whole: bool = True
    ) -> None:
        """Remember what ``server`` has just confirmed.

        Args:
            item: A key or a selection.
            server: The server.
            slots: Where it has confirmed a selection.
            is_whole: False if other slots of the selection are still to do.
        """
        now = time.monotonic()
        self._forget_old(now)
        known = self._confirmed.pop(item, None)
        since = self._replayed.pop(item, now) if is_whole else self._replayed.get(item, now)
        if known is None or not isinstance(item, Selection):
            parts: Parts = ((slots, server),)
        else:
            others = _without(known.parts, slots)
            since = max(since, known.since) if others else since
            same = sum([own for own, by in others if by == server])  # no two parts have a slot in common
            parts = (*[part for part in others if part[1] != server], (slots | same, server))
        self._confirmed[item] = Confirmed(since, parts)
        if len(self._confirmed) > self._limit:
            self._confirmed = {self._everything: Confirmed(now, self._all_parts())}

    def taken(
        self, slots: int, server: ServerIdentity | None = NOBODY, *, same_if_unknown: bool = False
    ) -> dict[Invalidation, int]:
        """Take out what was confirmed in some slots by another server; by item its slots.

        Args:
            slots: The slots.
            server: Whose own confirmations stay; without it none do.
            same_if_unknown: Servers that do not say who they are are the same one.
        """
        self._forget_old(time.monotonic())
        lost: dict[Invalidation, int] = {}
        for item, known in self._confirmed.items():
            bits = 0
            for own, by in known.parts:
                if by != server or (server is None and not same_if_unknown):
                    bits |= _common(item, own, slots)
            if bits:
                lost[item] = bits
        for item, bits in lost.items():
            known = self._confirmed[item]
            self._replayed.setdefault(item, known.since)
            left = _without(known.parts, bits)
            if left:
                self._confirmed[item] = Confirmed(known.since, left)
            else:
                del self._confirmed[item]
        return lost

    def slots(self) -> int:
        """Where they are."""
        self._forget_old(time.monotonic())
        return slots_of_all((item, _united(known.parts)) for item, known in self._confirmed.items())

    def _all_parts(self) -> Parts:
        """Who has confirmed in which slot; `SEVERAL` where there was more than one."""
        of_server: dict[ServerIdentity | None, list[tuple[Invalidation, int]]] = {}
        for item, known in self._confirmed.items():
            for own, by in known.parts:
                of_server.setdefault(by, []).append((item, own))
        parts = [(slots_of_all(places), by) for by, places in of_server.items()]
        seen = several = 0
        for own, _ in parts:
            several |= seen & own
            seen |= own
        alone = [(own & ~several, by) for own, by in parts if own & ~several]
        return (*alone, (several, SEVERAL)) if several else tuple(alone)

    def _forget_old(self, now: float) -> None:
        while self._confirmed:
            oldest = next(iter(self._confirmed))
            if self._confirmed[oldest].since > now - RECENT_SECONDS:
                return
            del self._confirmed[oldest]


def _common(item: Invalidation, own: int, slots: int) -> int:
    """Those of the slots that an item was confirmed in; all for a key that is in one of them."""
    if isinstance(item, Selection):
        return own & slots
    return ALL_SLOTS if is_in(item, slots) else 0


def _without(parts: Parts, slots: int) -> Parts:
    """What is left of parts outside of some slots."""
    return tuple([(own & ~slots, by) for own, by in parts if own & ~slots])


def _united(parts: Iterable[tuple[int, ServerIdentity | None]]) -> int:
    slots = 0
    for own, _ in parts:
        slots |= own
    return slots
