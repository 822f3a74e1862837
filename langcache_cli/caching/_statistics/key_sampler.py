"""Which keys are asked for most often, estimated in constant memory from one call in 64.

Source: Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams",
2005.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from random import randrange

from langcache_cli.caching._fork import call_in_child

CALLS_PER_SAMPLE = 64
"""One call in so many is drawn, at random: a fixed step could meet the same key of a cycle each time."""

TABLE_SIZE = 256
REPORTED = 50
"""At most so many keys are worth telling."""

SEEN_OFTEN = 2
"""A key that was drawn less often may be any key."""


@dataclass(slots=True)
class _Count:
    samples: int
    """Upper bound."""
    excess: int
    """The samples may be those of other keys, at most so many."""
    told: int = 0

    @property
    def certain(self) -> int:
        """Lower bound for the samples of the key."""
        return self.samples - self.excess


class KeySampler:
    """Counts drawn calls by key, on one event loop: a table of 256 keys, the Space-Saving algorithm.

    Whoever counts calls keeps the number of calls until the next sample, so that one that is not drawn costs
    a subtraction.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        """Start with an empty table; a sampler that is not enabled draws nothing."""
        self._enabled = enabled
        self._table: dict[str, _Count] = {}
        self._lowest: list[str] = []
        """Keys that had `_minimum` samples when the table was last searched."""
        self._minimum = 0
        self._skip = self.gap()
        call_in_child(self, "start_over")

    def gap(self) -> int:
        """How many calls are not drawn before the next one that is."""
        return randrange(2 * CALLS_PER_SAMPLE - 1) if self._enabled else sys.maxsize  # noqa: S311 - no secret

    def sample(self, key: str) -> int:
        """Count a drawn call; returns the next `gap`."""
        count = self._table.get(key)
        if count is not None:
            count.samples += 1
        elif len(self._table) < TABLE_SIZE:
            self._table[key] = _Count(1, 0)
        else:
            least = self._drop_lowest()
            self._table[key] = _Count(least + 1, least)
        return self.gap()

    def sample_some(self, keys: Sequence[str], skip: int) -> int:
        """Count those of several calls that are drawn.

        Args:
            keys: The key of each call.
            skip: How many of them are not drawn before the first one that is.

        Returns:
            How many later calls are not drawn.
        """
        while skip < len(keys):
            skip += 1 + self.sample(keys[skip])
        return skip - len(keys)

    def pass_by(self, keys: Sequence[str]) -> None:
        """Let calls pass that no `HitCounter` counts; some are drawn."""
        self._skip = self.sample_some(keys, self._skip)

    def news(self) -> dict[str, int]:
        """For the keys drawn most often how many samples `told` has not yet been called for."""
        often = [(count, key) for key, count in self._table.items() if count.certain >= SEEN_OFTEN]
        often.sort(key=lambda one: -one[0].certain)
        fresh = {key: count.certain - count.told for count, key in often[:REPORTED]}
        return {key: samples for key, samples in fresh.items() if samples}

    def told(self, news: dict[str, int]) -> None:
        """Note that `news` have been passed on."""
        for key, samples in news.items():
            if (count := self._table.get(key)) is not None:
                count.told += samples

    def start_over(self) -> None:
        """Forget all keys: another interval begins, or another process."""
        self._table.clear()
        self._lowest.clear()

    def _drop_lowest(self) -> int:
        """Remove a key with the fewest samples; returns how many it had."""
        while True:
            while self._lowest:
                key = self._lowest.pop()
                if self._table[key].samples == self._minimum:
                    del self._table[key]
                    return self._minimum
            self._minimum = min(count.samples for count in self._table.values())
            self._lowest = [key for key, count in self._table.items() if count.samples == self._minimum]
