"""How long entries are fresh, how long they are kept after that, and when their successors are loaded."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from langcache_cli.caching._protocol.entry import Entry


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The times of one function's entries.

    Attributes:
        ttl_seconds: How long an entry is fresh.
        stale_seconds: How much longer it is served while one call loads its successor, or fails to.
        early_refresh: The beta of XFetch: 0 never loads ahead, 1 is the usual value, more loads earlier.
        jitter: Each entry's TTL is shorter by a random part of up to this size, so that entries stored
            together do not expire together.
        ttl_of: Gives each value a TTL of its own, 0 for one that must not be stored; None for `ttl_seconds`.
    """

    ttl_seconds: float
    stale_seconds: float = 0.0
    early_refresh: float = 0.0
    jitter: float = 0.0
    ttl_of: Callable[[Any], float] | None = None

    def ttls_ms(self, values: Sequence[Any]) -> list[int]:
        """The TTLs of the entries of new values, in milliseconds; 0 for one that must not be stored."""
        draw = random.random  # spreads load; no secret depends on it
        if self.ttl_of is not None:
            ttls_ms = [1000 * self.ttl_of(value) for value in values]
            return [max(1, round(ttl - ttl * self.jitter * draw())) if ttl else 0 for ttl in ttls_ms]
        ttl_ms, spread_ms = self.ttl_seconds * 1000, self.ttl_seconds * 1000 * self.jitter
        return [max(1, round(ttl_ms - spread_ms * draw())) for _ in values]

    @property
    def stale_ms(self) -> int:
        """How long an entry is kept after its TTL."""
        return round(self.stale_seconds * 1000)

    @property
    def refreshes(self) -> bool:
        """True if entries are served while their successors are loaded."""
        return bool(self.stale_seconds or self.early_refresh)

    def kept_ms(self, entry: Entry) -> int:
        """The physical TTL of a new entry: fresh, then stale."""
        return entry.fresh_until_ms - entry.created_ms + self.stale_ms

    def has_ended(self, entry: Entry, now_ms: int) -> bool:
        """True if an entry may not be served any more, provided that the clocks agree."""
        return now_ms >= entry.fresh_until_ms + self.stale_ms

    @property
    def longest_ms(self) -> int:
        """Upper bound for the physical TTL of an entry whose TTL is not its own.

        The tags of an entry that is kept longer are prolonged when it is stored; see `Store.commit_long`.
        """
        return milliseconds(self.ttl_seconds) + self.stale_ms

    def tag_ttl_ms(self, longest_load_ms: int) -> int:
        """How long a tag must live: as long as an entry whose load begins now, and may take so long."""
        return self.longest_ms + longest_load_ms

    def draw_refresh(self, entry: Entry, now_ms: int) -> bool:
        """Decide whether the successor of an entry should be loaded now. Each call is a new random draw.

        Before the end of the TTL the probability grows with the time that a load takes (XFetch: Vattani et
        al., Optimal Probabilistic Cache Stampede Prevention, VLDB 2015); after it the answer is always yes.
        """
        if self.early_refresh:
            # 1 - random() is in (0, 1], where the logarithm is defined
            ahead_us = -self.early_refresh * entry.load_us * math.log(1 - random.random())  # noqa: S311
            now_ms += round(ahead_us / 1000)
        return now_ms >= entry.fresh_until_ms


def milliseconds(seconds: float) -> int:
    """Seconds in the unit of Redis, at least 1: Redis refuses a TTL of 0."""
    return max(1, round(seconds * 1000))
