"""The counters of the whole fleet, in Redis: one hash a minute for a day, one an hour for a week.

The keys are ``cache@stats:m:<start of the minute>`` and ``cache@stats:h:<start of the hour>`` (seconds since
1970), the fields ``type:prefix:function:counter``. In a cluster they are ``cache@stats:{S}:m:...`` with ``S``
from 0 to 15: each process writes to one of these shards, so that they spread over the nodes. The keys are
outside the namespace ``cache:``, so no pattern can clear them.
"""

from __future__ import annotations

import itertools
import logging
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from langcache_cli.caching._clock import now_ms
from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._errors import CacheUnavailableError, ServerReplyError
from langcache_cli.caching._statistics.counters import Counts, Statistics
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._statistics.latency_buckets import BUCKETS, timing_name
from langcache_cli.caching._wire.budget import Budget

logger = logging.getLogger("langcache_cli.caching")

WRITE_TIMEOUT_SECONDS = 1.0
"""Upper bound for one delivery."""

MAX_COUNT = 2**53
"""Larger numbers are damaged: no fleet counts so far, and JSON has no exact numbers beyond."""

TIMINGS = frozenset(timing_name(what, number) for what in ("hit", "load") for number in range(BUCKETS))
"""The counters of latencies; other names that look like them are damaged."""

SHARDS = 16
"""In a cluster. The braces keep the minute and the hour of a shard in one slot: one transaction has both."""

HASHES_PER_READ = 200
"""Hashes read in one round trip; bounds the memory of the replies."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The hashes of one time span.

    Attributes:
        letter: Its part of the key.
        seconds: How much time one hash covers.
        kept_seconds: Its TTL; longer than the longest window that is read from it.
    """

    letter: str
    seconds: int
    kept_seconds: int


MINUTES = Resolution("m", 60, 25 * 3600)
HOURS = Resolution("h", 3600, 8 * 24 * 3600)


class FleetTotals:
    """Adds the counters of one process to those of the fleet, and reads the sums."""

    def __init__(self, server: Server, namespace: str, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._server = server
        self._now_ms = now_ms
        self._stem = f"{namespace}@stats:"
        self._has_warned = False
        self._shards = [f"{{{number}}}:" for number in range(SHARDS)] if server.is_cluster else [""]
        self._shard = self._any_shard()

    async def add(self, counts: Mapping[Label, Counts], *, within: float | None = None) -> None:
        """Add one process' counters to the current minute and hour, all or nothing.

        Args:
            counts: The counters.
            within: Upper bound for the time in seconds, if that is less than `WRITE_TIMEOUT_SECONDS`.

        Raises:
            CacheError: Redis did not confirm it. The outcome is unknown if the connection was lost.
        """
        fields = [
            (f"{label}:{counter}", amount)
            for label, items in counts.items()
            for counter, amount in items.items()
        ]
        commands: list[tuple[str | int, ...]] = []
        for resolution in (MINUTES, HOURS):
            key = self._key(self._shard, resolution, self._now_ms() // 1000)
            commands += [("HINCRBY", key, field, amount) for field, amount in fields]
            commands.append(("EXPIRE", key, resolution.kept_seconds))
        seconds = WRITE_TIMEOUT_SECONDS if within is None else min(within, WRITE_TIMEOUT_SECONDS)
        try:
            for reply in await self._server.transaction(commands, budget=Budget(seconds)):
                if isinstance(reply, ServerReplyError):
                    raise reply
        except CacheUnavailableError:
            self._shard = self._any_shard()  # another node may be up
            raise

    async def read(self, window_seconds: int, budget: Budget | None = None) -> dict[Label, Counts]:
        """The counters of the last ``window_seconds``, the current minute or hour included.

        What is damaged is left out, and logged once.

        Args:
            window_seconds: How far back.
            budget: Upper bound for the time; None lets each round trip take the server's own.

        Raises:
            CacheError: Redis did not answer, or refused.
        """
        resolution = MINUTES if window_seconds <= 24 * 3600 else HOURS
        now = self._now_ms() // 1000
        keys = [
            self._key(shard, resolution, moment)
            for moment in (
                *range(now - window_seconds + resolution.seconds, now, resolution.seconds),
                now,
            )
            for shard in self._shards
        ]
        total = Statistics()
        for batch in _batches(dict.fromkeys(keys), HASHES_PER_READ):
            for reply in await self._server.call_many([("HGETALL", key) for key in batch], budget=budget):
                if isinstance(reply, ServerReplyError) and reply.code != "WRONGTYPE":
                    raise reply
                total.merge(self._counts(reply))
        return total.take()

    def _counts(self, reply: list[bytes] | ServerReplyError) -> dict[Label, Counts]:
        """The counters of one hash."""
        counts: dict[Label, Counts] = {}
        fields = [] if isinstance(reply, ServerReplyError) else reply
        damaged = isinstance(reply, ServerReplyError)
        for field, amount in zip(fields[::2], fields[1::2], strict=True):
            parsed = _parsed(field, amount)
            if parsed is None:
                damaged = True
            else:
                label, counter, number = parsed
                counts.setdefault(label, {})[counter] = number
        if damaged and not self._has_warned:
            self._has_warned = True
            logger.warning("statistics in Redis are damaged, and that part is left out: %s*", self._stem)
        return counts

    def _any_shard(self) -> str:
        return random.choice(self._shards)  # noqa: S311 - only spreads

    def _key(self, shard: str, resolution: Resolution, moment: int) -> str:
        return f"{self._stem}{shard}{resolution.letter}:{moment - moment % resolution.seconds}"


def _parsed(field: bytes, amount: bytes) -> tuple[Label, str, int] | None:
    """The label, the counter and the number in one field of a hash; None if it is damaged."""
    label, _, counter = field.decode("utf-8", "replace").rpartition(":")
    if "_us." in counter and counter not in TIMINGS:
        return None
    if not amount.isdigit() or len(amount) > len(str(MAX_COUNT)) or int(amount) > MAX_COUNT:
        return None
    try:
        return Label.parse(label), counter, int(amount)
    except TypeError:  # too few parts
        return None


def _batches(items: Iterable[str], size: int) -> Iterable[list[str]]:
    iterator = iter(items)
    return iter(lambda: list(itertools.islice(iterator, size)), [])
