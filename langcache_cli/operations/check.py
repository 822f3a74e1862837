"""Is everything there that the application needs? For CI, cron and load balancers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from langcache_cli.caching import Cache, CacheError
from langcache_cli.caching.tooling import CacheReport
from langcache_cli.operations.check_contents import count_keys, has_entry
from langcache_cli.operations.cold_type import advice
from langcache_cli.operations.diagnosis.inspection import Inspection, inspect_fleet
from langcache_cli.operations.statistics.counters import counters
from langcache_cli.operations.statistics.limits import HitRateLimits, LatencyLimits, State
from langcache_cli.readable import number_of, type_option

if TYPE_CHECKING:
    from langcache_cli.vocabulary import Database


Result = Literal["ok", "warning", "failed", "unknown"]

PINGS = 5
"""The latency is the median of so many round trips."""

HIT_RATE_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What to check, beside Redis itself.

    Attributes:
        roundtrip: Store, read and remove an entry, as a cached function does.
        require_warm: Cache types that must have an entry.
        min_keys: Cache types and how many keys each must have.
        hit_rate: Limits of the hit rate of the last hour.
        latency: Limits of a round trip to Redis.
        sample: The database is the bundled sample.
    """

    roundtrip: bool = False
    require_warm: tuple[str, ...] = ()
    min_keys: Mapping[str, int] = field(default_factory=dict)
    hit_rate: HitRateLimits = field(default_factory=HitRateLimits)
    latency: LatencyLimits = field(default_factory=LatencyLimits)
    sample: bool = False


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check.

    Attributes:
        name: What was checked.
        detail: What was found, or what is wrong.
        seconds: How long it took.
        error: None when it passed.
        hint: What to type next, if it did not; empty if the explanation of ``error`` says it.
        result: ``warning`` if it passed and a person should look; ``unknown`` if it failed because there was
            nothing to measure.
        measured: Numbers that were looked at, by names that carry their units.
    """

    name: str
    detail: str
    seconds: float
    error: Exception | None = None
    hint: str = ""
    result: Result = "ok"
    measured: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All checks, in the order in which they ran."""

    results: tuple[CheckResult, ...]
    fleet: Inspection
    """The nodes of a cluster, or the primary and the sentinels; empty for a single server."""

    @property
    def worst(self) -> CheckResult | None:
        """The failure that decides the exit code; None if all passed.

        One that names the node at fault says more than the error that the cache ended with.
        """
        return min(
            self.failures,
            key=lambda result: (isinstance(result.error, CheckFailedError), not result.hint),
            default=None,
        )

    @property
    def warnings(self) -> tuple[CheckResult, ...]:
        """Those that passed, and that a person should look at."""
        return tuple(result for result in self.results if result.result == "warning")

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """Those that did not pass."""
        return tuple(result for result in self.results if result.error is not None)


class CheckFailedError(Exception):
    """Everything answered, but not what it should."""


class _Found(NamedTuple):
    """What a step found; see `CheckResult`."""

    detail: str
    result: Result = "ok"
    hint: str = ""
    measured: Mapping[str, float | None] = {}


Step = Callable[[], Awaitable[_Found]]
Advise = Callable[[str], Awaitable[str]]
"""What to type about a cache type."""

RESULTS: Final[Mapping[State, Result]] = {
    "ok": "ok",
    "warning": "warning",
    "critical": "failed",
    "unknown": "unknown",
}


async def check(cache: Cache, database: Database | None, request: CheckRequest) -> CheckReport:
    """Run the checks; a failing one is in the report, not raised.

    Args:
        cache: Pinged, and asked for what the cache needs; nothing is written.
        database: Asked for its words, if there is one.
        request: What else is to be checked; all of it is left out if Redis does not answer.
    """
    target, started = cache.settings.target, time.perf_counter()
    usable, fleet, of_database = await asyncio.gather(  # side by side: each may take the whole timeout
        _run("redis", lambda: _usable(cache)),
        inspect_fleet(target, within=cache.settings.operation_timeout),
        _of_database(database),
    )
    results = [usable]
    if fleet.nodes:
        results.append(_of_fleet(target.kind, fleet, time.perf_counter() - started))
    if usable.error is None:
        steps = _asked_for(cache, request, has_database=database is not None)
        results += [await _run(name, step) for name, step in steps]
    return CheckReport((*results, *of_database), fleet)


async def _of_database(database: Database | None) -> list[CheckResult]:
    if database is None:
        return []
    from langcache_cli.vocabulary import DatabaseError  # noqa: PLC0415 - SQLAlchemy takes as long as all else

    return [await _run("database", lambda: _words(database), DatabaseError)]


def _asked_for(cache: Cache, request: CheckRequest, *, has_database: bool) -> Iterator[tuple[str, Step]]:
    advise = partial(advice, cache, has_database=has_database, sample=request.sample)
    if request.latency.given:
        yield "latency", lambda: _latency(cache, request.latency)
    if request.roundtrip:
        yield "round trip", lambda: _roundtrip(cache)
    for name in request.require_warm:
        yield f"warm {name}", partial(_warm, cache, name, advise)
    for name, least in request.min_keys.items():
        yield f"keys {name}", partial(_keys, cache, name, least, advise)
    if request.hit_rate.given:
        yield "hit rate", lambda: _hit_rate(cache, request.hit_rate)


def _of_fleet(kind: str, fleet: Inspection, seconds: float) -> CheckResult:
    """One result for all nodes; its error is that of the worst finding. A warning is named, and no error."""
    errors, warnings = fleet.of("error"), fleet.of("warning")
    detail = "; ".join(finding.found for finding in (*errors, *warnings))
    if not errors:
        roles = Counter(node.role for node in fleet.nodes)
        counts = ", ".join(f"{role} {count}" for role, count in roles.items())
        result: Result = "warning" if warnings else "ok"
        return CheckResult(kind, f"{counts}; {detail}" if detail else counts, seconds, result=result)
    worst = next((finding for finding in errors if finding.error is not None), errors[0])
    error = worst.error or CheckFailedError(detail)
    return CheckResult(kind, detail, seconds, error, worst.mend, result="failed")


async def _run(name: str, step: Step, *also_fails_with: type[Exception]) -> CheckResult:
    failures: tuple[type[Exception], ...] = (CacheError, CheckFailedError, *also_fails_with)
    started = time.perf_counter()
    failure: Exception | None = None
    try:
        found = await step()
    except failures as error:
        found, failure = _Found(str(error), result="failed"), error
    if failure is None and found.result in ("failed", "unknown"):
        failure = CheckFailedError(found.detail)
    seconds = time.perf_counter() - started
    return CheckResult(name, found.detail, seconds, failure, found.hint, found.result, found.measured)


async def _usable(cache: Cache) -> _Found:
    """Find out whether the cache could work: a server that answers a ping may refuse all else.

    Raises:
        CacheError: It does not answer, refuses a command of the cache, or is not the one to write to.
    """
    await cache.ping()
    server, problem = await cache.usability()
    if problem is not None:
        raise problem
    return _Found(f"{server.product} {server.version}")


async def _latency(cache: Cache, limits: LatencyLimits) -> _Found:
    latency_ms = 1000 * sorted([await cache.ping() for _ in range(PINGS)])[PINGS // 2]
    state, reason = limits.judge(latency_ms)
    detail = reason or f"a round trip to Redis takes {latency_ms:.2f} ms"
    return _Found(detail, RESULTS[state], measured={"latency_ms": latency_ms})


async def _hit_rate(cache: Cache, limits: HitRateLimits) -> _Found:
    report = await counters(cache, HIT_RATE_SECONDS)
    total = report.total
    state, reason = limits.judge(total.hit_rate, "in the last hour")
    rate = total.hit_rate or 0.0
    calls = total["hits"] + total["misses"]
    return _Found(
        reason or f"{100 * rate:.1f} % of {number_of(calls, 'call')} in the last hour",
        RESULTS[state],
        "" if state == "ok" else f"Run '{_explains(report)}': it says what explains the rate.",
        {"hit_ratio": total.hit_rate},
    )


def _explains(report: CacheReport) -> str:
    """The command that explains a low rate: of the type with most misses."""
    misses = {name: numbers["misses"] for name, numbers in report.types.items() if numbers["misses"]}
    return (
        f"langcache stats {type_option(max(misses, key=lambda name: misses[name]))}"
        if misses
        else "langcache stats"
    )


async def _warm(cache: Cache, name: str, advise: Advise) -> _Found:
    if await has_entry(cache, name):
        return _Found("has entries")
    return _Found(f"the cache type {name} has no entry", "failed", await advise(name))


async def _keys(cache: Cache, name: str, least: int, advise: Advise) -> _Found:
    found = await count_keys(cache, name, least)
    if found < least:
        detail = f"the cache type {name} has {found:,} keys, fewer than {least:,}"
        return _Found(detail, "failed", await advise(name), {"keys": found})
    return _Found(f"at least {number_of(least, 'key')}", measured={"keys": found})


async def _roundtrip(cache: Cache) -> _Found:
    loads = 0

    @cache.cached(key_prefix="langcache_check", ttl=60)
    async def checked(number: int) -> int:
        nonlocal loads
        loads += 1
        return number

    number = time.time_ns()
    await checked.refresh(number)
    if await checked(number) != number or loads != 1:
        raise CheckFailedError("a value that was stored did not come back: is Redis out of memory?")
    if not await checked.invalidate(number) or await cache.holds(checked.key_for(number)):
        raise CheckFailedError("a value that was removed is still there")
    return _Found("stored, read and removed an entry")


async def _words(database: Database) -> _Found:
    from langcache_cli.vocabulary import groups  # noqa: PLC0415 - as above

    found = await groups(database)
    words = sum(group.words for group in found)
    if not words:
        raise CheckFailedError(f"vocabulary_words is empty ({database.target})")
    return _Found(f"{number_of(words, 'word')}")
