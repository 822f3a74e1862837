"""The counters of the whole fleet, in Redis: one hash a minute for a day, one an hour for a week.

The keys are ``cache@stats:m:<start of the minute>`` and ``cache@stats:h:<start of the hour>`` (seconds since
1970), the fields ``type:prefix:function:counter``. The keys are outside the namespace ``cache:``, so no
pattern can clear them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from langcache_cli.caching._clock import now_ms
from langcache_cli.caching._errors import ServerReplyError
from langcache_cli.caching._statistics.counters import Counts, Statistics
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.node import Node

WRITE_TIMEOUT_SECONDS = 1.0
"""Upper bound for one delivery; a process that closes waits for it."""

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

    def __init__(self, node: Node, namespace: str, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._node = node
        self._now_ms = now_ms
        self._stem = f"{namespace}@stats:"

    async def add(self, counts: Mapping[Label, Counts]) -> None:
        """Add one process' counters to the current minute and hour, all or nothing.

        Raises:
            CacheError: Redis did not confirm it. The outcome is unknown if the connection was lost.
        """
        fields = [
            (f"{label}:{counter}", amount)
            for label, items in counts.items()
            for counter, amount in items.items()
        ]
        commands: list[tuple[str | int, ...]] = [("MULTI",)]
        for resolution in (MINUTES, HOURS):
            key = self._key(resolution, self._now_ms() // 1000)
            commands += [("HINCRBY", key, field, amount) for field, amount in fields]
            commands.append(("EXPIRE", key, resolution.kept_seconds))
        commands.append(("EXEC",))
        for reply in await self._node.call_many(commands, budget=Budget(WRITE_TIMEOUT_SECONDS)):
            if isinstance(reply, ServerReplyError):
                raise reply

    async def read(self, window_seconds: int) -> dict[Label, Counts]:
        """The counters of the last ``window_seconds``, the current minute or hour included.

        Raises:
            CacheError: Redis did not answer, or refused.
        """
        resolution = MINUTES if window_seconds <= 24 * 3600 else HOURS
        now = self._now_ms() // 1000
        keys = [
            self._key(resolution, moment)
            for moment in range(now - window_seconds + resolution.seconds, now, resolution.seconds)
        ]
        keys.append(self._key(resolution, now))
        total = Statistics()
        for batch in _batches(dict.fromkeys(keys), HASHES_PER_READ):
            for reply in await self._node.call_many([("HGETALL", key) for key in batch]):
                if isinstance(reply, ServerReplyError):
                    raise reply
                total.merge(_counts(reply))
        return total.take()

    def _key(self, resolution: Resolution, moment: int) -> str:
        return f"{self._stem}{resolution.letter}:{moment - moment % resolution.seconds}"


def _counts(reply: list[bytes]) -> dict[Label, Counts]:
    counts: dict[Label, Counts] = {}
    for field, amount in zip(reply[::2], reply[1::2], strict=True):
        label, _, counter = field.decode("utf-8").rpartition(":")
        counts.setdefault(Label.parse(label), {})[counter] = int(amount)
    return counts


def _batches(items: Iterable[str], size: int) -> Iterable[list[str]]:
    iterator = iter(items)
    return iter(lambda: list(itertools.islice(iterator, size)), [])
