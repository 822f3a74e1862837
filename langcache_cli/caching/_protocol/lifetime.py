"""How long entries are fresh, how long they are kept after that, and when to load their successors."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from langcache_cli.caching._protocol.entry import Entry


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The times of one function's entries.

    Attributes:
        ttl_seconds: How long an entry is fresh.
        stale_seconds: How much longer it is served while one call loads its successor, or fails to.
        early_refresh: The beta of XFetch: 0 never loads before the end, 1 is the usual, more is earlier.
        jitter: Each entry's TTL is shorter by a random part of this size, so that entries stored
            together do not end together.
    """

    ttl_seconds: float
    stale_seconds: float = 0.0
    early_refresh: float = 0.0
    jitter: float = 0.0

    def ttls_ms(self, count: int) -> list[int]:
        """The TTLs of so many entries, in milliseconds."""
        ttl_ms, shorter = self.ttl_seconds * 1000, self.ttl_seconds * 1000 * self.jitter
        some = random.random  # to spread, not to hide
        return [max(1, round(ttl_ms - shorter * some())) for _ in range(count)]

    @property
    def stale_ms(self) -> int:
        """How long an entry is kept after its TTL."""
        return round(self.stale_seconds * 1000)

    def kept_ms(self, entry: Entry) -> int:
        """How long a new entry is kept: fresh, and stale after that."""
        return entry.fresh_until_ms - entry.created_ms + self.stale_ms

    def has_ended(self, entry: Entry, now_ms: int) -> bool:
        """Whether an entry may not be served any more, if the clocks agree."""
        return now_ms >= entry.fresh_until_ms + self.stale_ms

    @property
    def longest_ms(self) -> int:
        """How long an entry can be kept at most."""
        return milliseconds(self.ttl_seconds) + self.stale_ms

    def renewal_is_due(self, entry: Entry, now_ms: int) -> bool:
        """Whether the successor of an entry should be loaded now, by one call of all that see it.

        Before its end that is a matter of chance, which grows with the time that a load takes: Vattani et
        al., Optimal Probabilistic Cache Stampede Prevention (VLDB 2015).
        """
        if self.early_refresh:
            # 1 - random() is never 0, whose logarithm there is not
            ahead_us = -self.early_refresh * entry.load_us * math.log(1 - random.random())  # noqa: S311
            now_ms += round(ahead_us / 1000)
        return now_ms >= entry.fresh_until_ms


def milliseconds(seconds: float) -> int:
    """A time in the unit of Redis, which refuses 0."""
    return max(1, round(seconds * 1000))
