"""The statistics of the fleet: per cache type, in total, and the server's own."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from langcache_cli.caching import Cache
from langcache_cli.caching.tooling import Numbers, ServerReport
from langcache_cli.operations.opening import require_answer


@dataclass(frozen=True, slots=True)
class TypeLine:
    """The numbers of one cache type.

    Attributes:
        name: The cache type, or a prefix that belongs to none.
        keys: Keys in Redis now.
        ttl_seconds: TTL of its entries, unless their function has its own.
        numbers: The counters of the window.
    """

    name: str
    keys: int
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
    """

    window_seconds: int
    types: tuple[TypeLine, ...]
    total: Numbers
    server: ServerReport

    @property
    def keys(self) -> int:
        """Keys in the namespace."""
        return sum(line.keys for line in self.types)


async def stats(cache: Cache, *, window_seconds: int) -> StatsReport:
    """Collect the statistics. Scans all keys of the namespace once.

    Raises:
        CacheError: Redis did not answer, or refused.
    """
    await require_answer(cache)
    report = await cache.report(window_seconds=window_seconds)
    types = cache.settings.types
    keys: Counter[str] = Counter()
    async for batch in cache.scan():
        keys.update(types.of_prefix(key.split(":", 2)[1]).name for key in batch)
    numbers = report.types
    names = [*types, *sorted((keys.keys() | numbers.keys()) - types.keys())]
    lines = [
        TypeLine(name, keys[name], types.of_name_or_prefix(name).ttl_seconds, numbers.get(name, Numbers({})))
        for name in names
    ]
    return StatsReport(window_seconds, tuple(lines), report.total, await cache.server_report())
