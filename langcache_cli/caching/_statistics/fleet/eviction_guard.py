"""Keeps the counters of past hours in a Redis that is full."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._statistics.fleet.tiers import TIERS, stats_key, stats_stem
from langcache_cli.caching._wire.budget import Budget

HASHES_PER_TURN: Final = 20
"""Of each part. With a turn every five seconds each hash is used every three minutes."""


class EvictionGuard:
    """Uses the hashes of the counters one after the other, so that none of them is unused for long.

    Redis evicts what was not used for longest (``allkeys-lru``) or least often (``allkeys-lfu``): the hashes
    of past hours before the entries, as nothing is added to them. EXPIRE with the time that is left counts as
    a use, and who may count needs no further right for it.
    """

    def __init__(self, server: Server, namespace: str, *, now_ms: Callable[[], int]) -> None:
        self._server = server
        self._stem = stats_stem(namespace)
        self._now_ms = now_ms
        self._round: Iterator[tuple[str, int]] = iter(())

    async def use_some(self, parts: int, budget: Budget) -> None:
        """Use the next hashes.

        Args:
            parts: Into how many parts the counters of this process are divided.
            budget: Upper bound for the time.

        Raises:
            CacheError: Redis did not answer.
        """
        some = list(islice(self._round, HASHES_PER_TURN * parts))
        if not some:
            self._round = self._hashes(parts, self._now_ms() // 1000)
            some = list(islice(self._round, HASHES_PER_TURN * parts))
        # of a missing hash and of a refusal nothing follows: the counters are all that can be lost
        await self._server.call_each([("EXPIRE", key, seconds) for key, seconds in some], budget=budget)

    def _hashes(self, parts: int, now: int) -> Iterator[tuple[str, int]]:
        """Each hash that may be there, and how many seconds it is kept."""
        for tier in TIERS:
            for start in tier.starts(tier.kept_seconds, now):
                if (seconds := tier.left_seconds(start, self._now_ms() // 1000)) > 0:
                    yield from ((stats_key(self._stem, part, tier, start), seconds) for part in range(parts))
