"""Reports: the cache's own numbers, the server's, and both as one record for a health page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from typing_extensions import TypedDict  # typing's own cannot be part of a pydantic model before Python 3.12

from langcache_cli.caching._statistics.counter_table import COUNTERS
from langcache_cli.caching._statistics.counters import Counts
from langcache_cli.caching._statistics.labels import OUTBOX, Label
from langcache_cli.caching._statistics.latency_buckets import latency_histogram, percentile_ms


@dataclass(frozen=True, slots=True)
class Numbers:
    """The counters of one function, one cache type or everything.

    Attributes:
        counts: Counters by name, see `COUNTERS`; a counter that is 0 may be missing.
    """

    counts: Counts

    def __getitem__(self, counter: str) -> int:
        return self.counts.get(counter, 0)

    def exported(self, *, per_function: bool = True) -> dict[str, int]:
        """Every counter of the table by its exported name, zeros included.

        Args:
            per_function: True for the counters of functions, False for those of the outbox.
        """
        specs = (spec for spec in COUNTERS.values() if spec.per_function == per_function)
        return {spec.exported_name: self[spec.name] for spec in specs}

    @property
    def hit_rate(self) -> float | None:
        """Hits as a share of hits and misses, from 0 to 1; None when there were neither."""
        asked = self["hits"] + self["misses"]
        return self["hits"] / asked if asked else None

    @property
    def loads_avoided(self) -> int:
        """Calls that were answered without a run of the function of their own."""
        return self["hits"] + self["joined"]

    def percentile_ms(self, what: str, percent: float) -> float | None:
        """A percentile of the ``hit`` or ``load`` latencies in milliseconds; None when there were none."""
        return percentile_ms(self.counts, what, percent)

    def mean_ms(self, what: str) -> float:
        """The mean of the ``hit`` or ``load`` latencies in milliseconds, within 10 %; 0 for none."""
        histogram = latency_histogram(self.counts, what)
        return 1000 * histogram.sum_seconds / histogram.count if histogram else 0.0


@dataclass(frozen=True, slots=True)
class CacheReport:
    """The cache's own numbers of all processes over a window of time.

    Attributes:
        window_seconds: Length of the window, which ends now: what was asked for, and the time since the last
            full minute, five minutes or hour.
        functions: The numbers by label: type, prefix and function.
    """

    window_seconds: int
    functions: Mapping[Label, Numbers]

    @property
    def total(self) -> Numbers:
        """Everything together."""
        return _sum(self.functions.values())

    @property
    def types(self) -> dict[str, Numbers]:
        """By cache type."""
        names = sorted({label.type for label in self.functions if label != OUTBOX})
        return {
            name: _sum(numbers for label, numbers in self.functions.items() if label.type == name)
            for name in names
        }


@dataclass(frozen=True, slots=True)
class ServerReport:
    """The server's own numbers, from ``INFO``.

    Its hits and misses count the look-ups of every client, ``EXISTS`` included.

    Attributes:
        version: Version of the server.
        used_memory_bytes: Memory in use.
        max_memory_bytes: ``maxmemory``; 0 for no limit.
        eviction_policy: ``maxmemory-policy``.
        connected_clients: Open connections.
        uptime_seconds: Time since its start.
        database_keys: Keys in this database, those of other applications included.
        keyspace_hits: Look-ups that found a key, on the whole server.
        keyspace_misses: Look-ups that did not.
        evicted_keys: Keys evicted at the memory limit.
    """

    version: str
    used_memory_bytes: int
    max_memory_bytes: int
    eviction_policy: str
    connected_clients: int
    uptime_seconds: int
    database_keys: int
    keyspace_hits: int
    keyspace_misses: int
    evicted_keys: int
    product: str = "Redis"


def server_report(info: bytes, *, database_keys: int) -> ServerReport:
    """Read the reply of ``INFO``."""
    lines = (line.partition(":") for line in info.decode("utf-8", "replace").splitlines())
    facts = {name: value for name, colon, value in lines if colon}

    def number(name: str) -> int:
        return int(facts.get(name, "0"))

    return ServerReport(
        version=facts.get("valkey_version") or facts.get("redis_version", "unknown"),
        used_memory_bytes=number("used_memory"),
        max_memory_bytes=number("maxmemory"),
        eviction_policy=facts.get("maxmemory_policy", "unknown"),
        connected_clients=number("connected_clients"),
        uptime_seconds=number("uptime_in_seconds"),
        database_keys=database_keys,
        keyspace_hits=number("keyspace_hits"),
        keyspace_misses=number("keyspace_misses"),
        evicted_keys=number("evicted_keys"),
        product="Valkey" if "valkey_version" in facts else "Redis",
    )


def combined(reports: Sequence[ServerReport]) -> ServerReport:
    """One report for all nodes: what can be added up is, and of the rest the worst is told."""
    if len(reports) == 1:
        return reports[0]

    def total(name: str) -> int:
        return sum(getattr(report, name) for report in reports)

    limits = [report.max_memory_bytes for report in reports]
    return ServerReport(
        version=" and ".join(sorted({report.version for report in reports})),
        used_memory_bytes=total("used_memory_bytes"),
        max_memory_bytes=sum(limits) if all(limits) else 0,
        eviction_policy=" and ".join(sorted({report.eviction_policy for report in reports})),
        connected_clients=total("connected_clients"),
        uptime_seconds=min(report.uptime_seconds for report in reports),
        database_keys=total("database_keys"),
        keyspace_hits=total("keyspace_hits"),
        keyspace_misses=total("keyspace_misses"),
        evicted_keys=total("evicted_keys"),
        product=" and ".join(sorted({report.product for report in reports})),
    )


def readable_bytes(size: float) -> str:
    """A size as Redis writes it: ``1.50M``."""
    power = next((power for power in (3, 2, 1) if size >= 1024**power), 0)
    return f"{size / 1024**power:.2f}{'BKMG'[power]}" if power else f"{size:.0f}B"


class TypeStats(TypedDict):
    """The numbers of one cache type in `CacheStats`."""

    hits: int
    misses: int
    hit_rate: float
    loads: int
    hit_p95_ms: float | None
    load_p95_ms: float | None
    counters: dict[str, int]


class CacheStats(TypedDict):
    """What `get_cache_stats` returns, ready to be sent as JSON.

    ``hits``, ``misses`` and ``hit_rate`` (a ratio; ``hit_rate_percent`` is 0 to 100) are the cache's own, of
    all processes, over the last hour. ``error`` says why Redis could not be asked or used, and is empty
    otherwise. ``usable`` is false, too, when Redis answers and yet cannot hold the cache: a replica, a node
    of a cluster, a full server that evicts nothing, a user without a right that the cache needs.
    ``keys_count`` counts the whole database. Without Redis the numbers are 0 and ``reachable`` is false;
    ``numbers`` is false, too, when Redis answered and only the cache's own numbers, which are 0 then, did not
    come in time.
    ``outbox`` counts the invalidations of this process that Redis has not confirmed; until it has, calls go
    straight to their functions. ``counters``, here and in each of ``types``, has every counter of
    ``docs/counters.md`` that is counted per function, by its name there.
    """

    enabled: bool
    reachable: bool
    usable: bool
    numbers: bool
    used_memory_human: str
    used_memory_mb: float
    keys_count: int
    hits: int
    misses: int
    hit_rate: float
    hit_rate_percent: float
    connected_clients: int
    uptime_days: float
    outbox: int
    error: str
    counters: dict[str, int]
    types: dict[str, TypeStats]


def cache_stats(
    *,
    enabled: bool,
    server: ServerReport | None,
    report: CacheReport | None,
    usable: bool = True,
    outbox: int = 0,
    error: str = "",
) -> CacheStats:
    """Both reports as one record; each is None if Redis did not answer, and its numbers are then 0."""
    total = report.total if report else Numbers({})
    memory = server.used_memory_bytes if server else 0
    return CacheStats(
        enabled=enabled,
        reachable=server is not None,
        usable=usable and server is not None,
        numbers=report is not None,
        used_memory_human=readable_bytes(memory),
        used_memory_mb=round(memory / 2**20, 2),
        keys_count=server.database_keys if server else 0,
        hits=total["hits"],
        misses=total["misses"],
        hit_rate=round(total.hit_rate or 0.0, 4),
        hit_rate_percent=round(100 * (total.hit_rate or 0.0), 2),
        connected_clients=server.connected_clients if server else 0,
        uptime_days=round(server.uptime_seconds / 86400, 2) if server else 0.0,
        outbox=outbox,
        error=error,
        counters=total.exported(),
        types={name: _type_stats(numbers) for name, numbers in report.types.items()} if report else {},
    )


def _type_stats(numbers: Numbers) -> TypeStats:
    return TypeStats(
        hits=numbers["hits"],
        misses=numbers["misses"],
        hit_rate=round(numbers.hit_rate or 0.0, 4),
        loads=numbers["loads"],
        hit_p95_ms=numbers.percentile_ms("hit", 95),
        load_p95_ms=numbers.percentile_ms("load", 95),
        counters=numbers.exported(),
    )


def _sum(items: Iterable[Numbers]) -> Numbers:
    total: Counter[str] = Counter()
    for numbers in items:
        total.update(numbers.counts)
    return Numbers(dict(total))
