"""The hashes of the counters in Redis by the time they cover: fine for hours, coarse for a week."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tier:
    """The hashes of one time span.

    Attributes:
        name: Its part of the key.
        seconds: How much time one hash covers; it begins at a multiple of that.
        kept_seconds: How long a hash is kept after its end.
        is_coarse: True if its latencies are in buckets of twice the width.
    """

    name: str
    seconds: int
    kept_seconds: int
    is_coarse: bool = True

    def start(self, moment: int) -> int:
        """The start of the hash that a moment falls into; both in seconds since 1970."""
        return moment - moment % self.seconds

    def left_seconds(self, moment: int, now: int) -> int:
        """How long the hash of a moment is still kept; 0 or less if it has ended."""
        return self.start(moment) + self.seconds + self.kept_seconds - now

    def starts(self, window_seconds: int, now: int) -> Iterator[int]:
        """The hashes of at least the last ``window_seconds``, oldest first: full ones and the current one."""
        yield from range(self.start(now - window_seconds), self.start(now) + 1, self.seconds)


MINUTES = Tier("1m", 60, 2 * 3600, is_coarse=False)
FIVE_MINUTES = Tier("5m", 300, 25 * 3600)
HOURS = Tier("1h", 3600, 8 * 24 * 3600)
TIERS = (MINUTES, FIVE_MINUTES, HOURS)


def tier_for(window_seconds: int) -> Tier:
    """The finest tier that is kept for a whole window; the coarsest if none is."""
    return next((tier for tier in TIERS if window_seconds <= tier.kept_seconds), HOURS)


def stats_stem(namespace: str) -> str:
    """What the keys of the statistics of a namespace begin with."""
    return f"{namespace}@stats:"


def stats_key(stem: str, part: int, tier: Tier, moment: int) -> str:
    """The hash of a part and a tier that a moment falls into."""
    return f"{stem}{{{part}}}:{tier.name}:{tier.start(moment)}"
