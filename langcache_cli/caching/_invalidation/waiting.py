"""An invalidation in the outbox, and the slots of a cluster that it is about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from langcache_cli.caching._deployment.cluster.slots import ALL_SLOTS, bits_of, slot_of
from langcache_cli.caching._keys.selection import Invalidation, Selection


@dataclass(frozen=True, slots=True)
class Waiting:
    """An invalidation in the outbox.

    Attributes:
        number: Changes when it is asked for again.
        count: How many invalidations it stands for.
        slots: Those of a selection that are still to do; of no meaning for a key.
    """

    number: int
    count: int
    slots: int = ALL_SLOTS


@lru_cache(maxsize=1 << 15)
def known_slot_of(key: str) -> int:
    """The slot of a key; remembered, as it is asked for at each change of the cluster."""
    return slot_of(key)


def is_in(key: str, slots: int) -> bool:
    """True if a key is in one of these slots."""
    return slots is ALL_SLOTS or bool(slots >> known_slot_of(key) & 1)


def slots_of_all(places: Iterable[tuple[Invalidation, int]]) -> int:
    """The slots of keys, and those that come with selections."""
    of_keys, slots = list[int](), 0
    for item, of_selection in places:
        if isinstance(item, Selection):
            slots |= of_selection
        else:
            of_keys.append(known_slot_of(item))
    return slots | bits_of(of_keys)
