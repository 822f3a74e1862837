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

    With ``allkeys-lru`` Redis evicts what was not used for longest: the hashes of past hours before the
    entries, as nothing is added to them. A look-up for a string counts as a use of a hash, whatever it
    replies. It changes nothing, so nothing goes to replicas and to the disk, and who may read entries may do
    it.
    """

    def __init__(self, server: Server, namespace: str, *, now_ms: Callable[[], int]) -> None:
        self._server = server
        self._stem = stats_stem(namespace)
        self._now_ms = now_ms
        self._round: Iterator[str] = iter(())

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
        if self._server.is_cluster:  # where the smallest user has no right to MGET
            await self._server.call_each([("GET", key) for key in some], budget=budget)
        else:
            await self._server.call_many([("MGET", *some)], budget=budget)

    def _hashes(self, parts: int, now: int) -> Iterator[str]:
        """Each hash that may be there."""
        for tier in TIERS:
            for start in tier.starts(tier.kept_seconds, now):
                yield from (stats_key(self._stem, part, tier, start) for part in range(parts))
