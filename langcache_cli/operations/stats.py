"""The statistics of the fleet: per cache type, in total, and the server's own."""

from __future__ import annotations

import math
from dataclasses import dataclass

from langcache_cli.caching import Cache
from langcache_cli.caching.tooling import Numbers, ServerReport
from langcache_cli.operations.opening import require_answer
from langcache_cli.operations.overview.census import OTHERS, KeyCounts
from langcache_cli.operations.overview.keyspace import KeyspaceWatch

DRAWS = 5_000
"""Keys that are drawn at random where there are more."""


@dataclass(frozen=True, slots=True)
class TypeLine:
    """The numbers of one cache type.

    Attributes:
        name: The cache type, or a prefix that belongs to none.
        keys: Keys in Redis now, with half of a 95 % interval, and their bytes.
        ttl_seconds: TTL of its entries, unless their function has its own.
        numbers: The counters of the window.
    """

    name: str
    keys: KeyCounts
    ttl_seconds: int
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class StatsReport:
    """Statistics over a window.

    Attributes:
        window_seconds: Length of the window of the counters, which ends now.
        types: One line for each cache type, then for each prefix that belongs to none.
        total: The counters of all types together, and those of the outboxes.
        server: What Redis reports about itself.
        exact: True if every key was counted; else they are estimated from random ones.
        problem: Why keys or bytes are not known; empty if they are.
    """

    window_seconds: int
    types: tuple[TypeLine, ...]
    total: Numbers
    server: ServerReport
    exact: bool
    problem: str

    @property
    def keys(self) -> KeyCounts:
        """Those of the namespace."""
        counts = [line.keys for line in self.types]
        return KeyCounts(
            keys=sum(one["keys"] for one in counts),
            keys_error=math.ceil(math.hypot(*[one["keys_error"] for one in counts])),
            bytes=sum(one["bytes"] for one in counts),
            bytes_error=math.ceil(math.hypot(*[one["bytes_error"] for one in counts])),
        )


async def stats(
    cache: Cache, *, window_seconds: int, exact: bool = False, sizes: bool = False
) -> StatsReport:
    """Collect the statistics.

    Args:
        cache: The cache.
        window_seconds: Length of the window of the counters.
        exact: Look at every key, also where there are many.
        sizes: Find out how large entries are.

    Raises:
        CacheError: Redis did not answer, or refused.
    """
    await require_answer(cache)
    report = await cache.report(window_seconds=window_seconds)
    types = cache.settings.types
    census = await KeyspaceWatch(cache, first_draws=DRAWS, always_exact=exact, sizes=sizes).look()
    if not any(sample.seen for sample in census.samples) and census.problem and not exact:
        # without RANDOMKEY all are walked through
        census = await KeyspaceWatch(cache, always_exact=True, sizes=sizes).look()
    numbers = report.types
    names = [*types, *sorted((census.types | numbers.keys()) - types.keys() - {OTHERS})]
    lines = [
        TypeLine(
            name,
            census.of_type(name),
            types.of_name_or_prefix(name).ttl_seconds,
            numbers.get(name, Numbers({})),
        )
        for name in names
    ]
    return StatsReport(
        window_seconds,
        tuple(lines),
        report.total,
        await cache.server_report(),
        census.exact,
        census.problem,
    )
