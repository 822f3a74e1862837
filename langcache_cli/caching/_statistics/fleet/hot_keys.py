"""The keys that all processes ask for most often: a sorted set for each five minutes, kept for a day.

The numbers are estimates: samples of which each stands for 64 calls. A delivery whose confirmation was lost
is sent again, and may count twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

from langcache_cli.caching._deployment.server import Command, Server
from langcache_cli.caching._errors import CacheError, CacheUnavailableError, ServerReplyError
from langcache_cli.caching._statistics.fleet.tiers import FIVE_MINUTES, stats_stem
from langcache_cli.caching._statistics.key_sampler import CALLS_PER_SAMPLE, KeySampler
from langcache_cli.caching._wire.budget import Budget

KEPT = 50
"""Keys of each five minutes."""

LEAST_SAMPLES = 8
"""A key that was drawn less often in a window does not stand out: a third of its estimate may be chance."""

LATE_SECONDS = 60
"""So long after their end the numbers of five minutes may still grow: clocks differ."""

REFUSED_SECONDS = 600
"""A server that has refused, for want of a right, is asked again after this time."""

READ_AT_ONCE = 24
DAY = 86400


class HotKey(NamedTuple):
    """A key, and about how many calls have asked for it."""

    key: bytes
    calls: int


class HotKeys:
    """Writes what one event loop has sampled, and reads what all have."""

    def __init__(self, server: Server, namespace: str, *, enabled: bool, now_ms: Callable[[], int]) -> None:
        self.sampler = KeySampler(enabled=enabled)
        self._server = server
        self._stem = f"{stats_stem(namespace)}hot:"
        self._now_ms = now_ms
        self._interval = 0
        self._refused_until = 0
        self._final: dict[int, Counter[bytes]] = {}

    async def deliver(self, budget: Budget) -> None:
        """Add what was sampled since the last delivery to the current five minutes.

        Raises:
            CacheError: Redis did not confirm, or refused; it is sent again later.
        """
        now = self._now_ms() // 1000
        interval = FIVE_MINUTES.start(now)
        news = self.sampler.news()
        if news and now >= self._refused_until:
            key = f"{self._stem}{interval}"
            commands: list[Command] = [
                *(("ZINCRBY", key, samples * CALLS_PER_SAMPLE, name) for name, samples in news.items()),
                ("ZREMRANGEBYRANK", key, 0, -KEPT - 1),
                ("EXPIRE", key, FIVE_MINUTES.seconds + FIVE_MINUTES.kept_seconds),
            ]
            for reply in await self._server.call_many(commands, budget=budget):
                if isinstance(reply, ServerReplyError):
                    self._refused_until = now + REFUSED_SECONDS
                    raise reply
            self.sampler.told(news)
        if interval != self._interval:
            self._interval = interval
            self.sampler.start_over()

    async def top(self, window_seconds: int, limit: int, budget: Budget | None = None) -> list[HotKey]:
        """The keys asked for most often, at most of the last day; none if no key stands out.

        What is on a node of a cluster that is away is left out.

        Raises:
            CacheError: Redis did not answer, or refused.
        """
        now = self._now_ms() // 1000
        starts = list(FIVE_MINUTES.starts(min(window_seconds, DAY), now))
        current = await self._read([start for start in starts if start not in self._final], budget)
        ended = now - FIVE_MINUTES.seconds - LATE_SECONDS
        self._final |= {start: calls for start, calls in current.items() if start <= ended}
        self._final = {start: calls for start, calls in self._final.items() if start > now - DAY}
        total: Counter[bytes] = Counter()
        for start in starts:
            total.update(current.get(start) or self._final.get(start, Counter()))
        least = LEAST_SAMPLES * CALLS_PER_SAMPLE
        return [HotKey(key, calls) for key, calls in total.most_common(limit) if calls >= least]

    async def _read(self, starts: Sequence[int], budget: Budget | None) -> dict[int, Counter[bytes]]:
        found: dict[int, Counter[bytes]] = {}
        for place in range(0, len(starts), READ_AT_ONCE):
            some = starts[place : place + READ_AT_ONCE]
            commands: list[Command] = [
                ("ZREVRANGE", f"{self._stem}{start}", 0, KEPT - 1, "WITHSCORES") for start in some
            ]
            replies = await self._server.call_each(commands, budget=budget)
            found |= {
                start: _calls(reply)
                for start, reply in zip(some, replies, strict=True)
                if not isinstance(reply, CacheUnavailableError)
            }
            await asyncio.sleep(0)
        return found


def _calls(reply: object) -> Counter[bytes]:
    """A sorted set; none for a key of another use.

    Raises:
        CacheError: Redis refuses.
    """
    if isinstance(reply, CacheError):
        if isinstance(reply, ServerReplyError) and reply.code == "WRONGTYPE":
            return Counter()
        raise reply
    words = cast("list[bytes]", reply)
    return Counter({key: round(float(score)) for key, score in zip(words[::2], words[1::2], strict=True)})
