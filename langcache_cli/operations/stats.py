"""The statistics of the fleet: per cache type, in total, and the server's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from langcache_cli.caching import Cache, UnknownCacheTypeError
from langcache_cli.caching.tooling import OUTBOX, CacheReport, Label, Numbers, ServerReport
from langcache_cli.operations.opening import require_answer
from langcache_cli.operations.overview.census import OWN, Census, KeyCounts
from langcache_cli.operations.overview.keyspace import KeyspaceWatch
from langcache_cli.operations.statistics.lost_counters import Lost, whole_counters
from langcache_cli.operations.statistics.reasons import OtherKeys, Reason, other_keys, reasons
from langcache_cli.operations.statistics.since_last import SinceLast, look
from langcache_cli.operations.statistics.state_file import State, StateError
from langcache_cli.operations.statistics.stored_entries import function_keys

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
    """Statistics over a window, or since the last run.

    Attributes:
        window_seconds: Length of the window of the counters, which ends now.
        types: One line for each cache type, then for each prefix that belongs to none.
        functions: The numbers of the functions of these types.
        total: The counters of these types together.
        outbox: The counters that belong to no type: of outboxes, tags, and removals of many keys.
        server: What Redis reports about itself.
        exact: True if every key was counted; else they are estimated from random ones.
        problem: Why keys or bytes are not known; empty if they are.
        reasons: What explains the hit rate.
        other_keys: Keys beside the namespace.
        since: What was found out about the time since the last run; None if that was not asked for.
        state: What the next run is to compare with; None as above.
        own_keys: Counters, tags and events of the namespace.
        lost: What Redis has lost of the counters of the window.
    """

    window_seconds: int
    types: tuple[TypeLine, ...]
    functions: Mapping[Label, Numbers]
    total: Numbers
    outbox: Numbers
    server: ServerReport
    exact: bool
    problem: str
    reasons: tuple[Reason, ...]
    other_keys: OtherKeys
    since: SinceLast | None = None
    state: State | None = None
    own_keys: int = 0
    lost: Lost = field(default_factory=Lost)

    @property
    def keys(self) -> KeyCounts:
        """Those of the namespace, or of the types that are shown."""
        counts = [line.keys for line in self.types]
        return KeyCounts(
            keys=sum(one["keys"] for one in counts),
            keys_error=math.ceil(math.hypot(*[one["keys_error"] for one in counts])),
            bytes=sum(one["bytes"] for one in counts),
            bytes_error=math.ceil(math.hypot(*[one["bytes_error"] for one in counts])),
        )


@dataclass(frozen=True, slots=True)
class StatsRequest:
    """What to collect.

    Attributes:
        window_seconds: Length of the window of the counters; with ``previous`` that of a first run.
        types: Only these cache types, or prefixes that belong to none; all if it is empty.
        exact: Look at every key, also where there are many.
        sizes: Find out how large entries are.
        previous: What the last run saw, to collect what was counted since, or why that is not known; None
            for the window.
    """

    window_seconds: int
    types: tuple[str, ...] = ()
    exact: bool = False
    sizes: bool = False
    previous: State | StateError | None = None


async def stats(cache: Cache, request: StatsRequest) -> StatsReport:
    """Collect the statistics.

    Raises:
        UnknownCacheTypeError: One of the types is not known, and nothing was counted under it.
        CacheError: Redis did not answer, or refused.
    """
    await require_answer(cache)
    server = await cache.server_report()
    since, state, lost = None, None, Lost()
    if request.previous is not None:
        since, state = await look(cache, server, request.previous)
    if since is None or since.first_run:
        report, lost = await whole_counters(cache, request.window_seconds)
    else:
        report = since.report
    census = await _census(cache, request)
    lines = _lines(cache, report, census, request.types)
    names = {line.name for line in lines}
    functions = {
        label: numbers
        for label, numbers in report.functions.items()
        if label != OUTBOX and label.type in names
    }
    total, outbox = CacheReport(0, functions).total, report.functions.get(OUTBOX, Numbers({}))
    keys_now = function_keys(census, cache.settings.namespace, functions)
    evicted = (server.evicted_keys, "since Redis started")
    if since is not None and not since.first_run:
        evicted = (since.evicted_keys, "since the last run")
    return StatsReport(
        report.window_seconds,
        tuple(lines),
        functions,
        total,
        outbox,
        server,
        census.exact,
        census.problem,
        tuple(reasons(functions, keys_now, of_all=outbox, evicted=evicted)),
        other_keys(census),
        since,
        state,
        census.of_type(OWN)["keys"],
        lost,
    )


async def _census(cache: Cache, request: StatsRequest) -> Census:
    census = await KeyspaceWatch(
        cache, first_draws=DRAWS, always_exact=request.exact, sizes=request.sizes
    ).look()
    if any(sample.seen for sample in census.samples) or not census.problem or request.exact:
        return census
    # without RANDOMKEY all are walked through
    return await KeyspaceWatch(cache, always_exact=True, sizes=request.sizes).look()


def _lines(cache: Cache, report: CacheReport, census: Census, wanted: tuple[str, ...]) -> list[TypeLine]:
    types, numbers = cache.settings.types, report.types
    names = [*types, *sorted((census.types | numbers.keys()) - types.keys())]
    for name in wanted:
        if name not in names:
            raise UnknownCacheTypeError(name, known=tuple(sorted(names)))
    return [
        TypeLine(
            name,
            census.of_type(name),
            types.of_name_or_prefix(name).ttl_seconds,
            numbers.get(name, Numbers({})),
        )
        for name in names
        if not wanted or name in wanted
    ]
