"""The counters that version 0.1 has written to Redis, which are read until they expire, after eight days.

One hash a minute for a day and one an hour for a week, ``cache@stats:m:<start>`` and
``cache@stats:h:<start>`` (in a cluster ``cache@stats:{S}:m:...`` with ``S`` from 0 to 15), with fields
``type:prefix:function:counter``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._errors import ServerReplyError
from langcache_cli.caching._statistics.counters import Counts
from langcache_cli.caching._statistics.fleet.field_names import MAX_COUNT
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._statistics.latency_buckets import BUCKETS, timing_name
from langcache_cli.caching._wire.budget import Budget

SHARDS = 16
MINUTE, HOUR = 60, 3600
DAY = 24 * HOUR
HASHES_PER_READ = 10

TIMINGS = frozenset(timing_name(what, number) for what in ("hit", "load") for number in range(BUCKETS))
"""The counters of latencies; other names that look like them are damaged."""


class OldTotals:
    """Reads the counters that version 0.1 has written."""

    def __init__(self, server: Server, stem: str) -> None:
        self._server = server
        self._stem = stem
        self._shards = [f"{{{number}}}:" for number in range(SHARDS)] if server.is_cluster else [""]

    async def read(
        self, first: int, last: int, budget: Budget | None, *, by_hour: bool
    ) -> AsyncIterator[tuple[int, dict[Label, Counts] | None]]:
        """The counters by minute or hour, from ``first`` to ``last`` (both starts, in seconds since 1970).

        Yields:
            The start, and the counters; None for a hash that is damaged, wholly or in part.

        Raises:
            CacheError: Redis did not answer, or refused.
        """
        step, letter = (HOUR, "h") if by_hour else (MINUTE, "m")
        wanted = [
            (moment, f"{self._stem}{shard}{letter}:{moment}")
            for hour, shard in await self._hours(first, last, budget)
            for moment in range(hour, hour + HOUR, step)
            if first <= moment <= last
        ]
        for place in range(0, len(wanted), HASHES_PER_READ):
            batch = wanted[place : place + HASHES_PER_READ]
            replies = await self._server.call_many([("HGETALL", key) for _, key in batch], budget=budget)
            for (moment, _), reply in zip(batch, replies, strict=True):
                if isinstance(reply, ServerReplyError) and reply.code != "WRONGTYPE":
                    raise reply
                counts, is_whole = _counts(reply)
                yield moment, counts
                if not is_whole:
                    yield moment, None

    async def _hours(self, first: int, last: int, budget: Budget | None) -> list[tuple[int, str]]:
        """The hours, and their shards, in which something was counted: soon there are none.

        Of a node of a cluster that is away none: nearly always nothing is there.
        """
        hours = [
            (hour, shard) for hour in range(first - first % HOUR, last + 1, HOUR) for shard in self._shards
        ]
        questions = [("EXISTS", f"{self._stem}{shard}h:{hour}") for hour, shard in hours]
        replies = await self._server.call_each(questions, budget=budget)
        for reply in replies:
            if isinstance(reply, ServerReplyError):
                raise reply
        return [where for where, exists in zip(hours, replies, strict=True) if exists == 1]


def _counts(reply: list[bytes] | ServerReplyError) -> tuple[dict[Label, Counts], bool]:
    """The counters of one hash, and whether all of it could be read."""
    if isinstance(reply, ServerReplyError):
        return {}, False
    counts: dict[Label, Counts] = {}
    is_whole = True
    for field, amount in zip(reply[::2], reply[1::2], strict=True):
        parsed = _parsed(field, amount)
        if parsed is None:
            is_whole = False
        else:
            label, counter, number = parsed
            counts.setdefault(label, {})[counter] = number
    return counts, is_whole


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
