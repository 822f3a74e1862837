"""Is everything there that the application needs? For CI, cron and load balancers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from langcache_cli.caching import Cache, CacheError
from langcache_cli.operations.diagnosis.inspection import Inspection, inspect_fleet

if TYPE_CHECKING:
    from langcache_cli.vocabulary import Database


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check.

    Attributes:
        name: What was checked.
        detail: What was found, or what is wrong.
        seconds: How long it took.
        error: None when it passed.
        hint: What to type next, if it did not; empty if the explanation of ``error`` says it.
    """

    name: str
    detail: str
    seconds: float
    error: Exception | None = None
    hint: str = ""


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
    def failures(self) -> tuple[CheckResult, ...]:
        """Those that did not pass."""
        return tuple(result for result in self.results if result.error is not None)


class CheckFailedError(Exception):
    """Everything answered, but not what it should."""


async def check(cache: Cache, database: Database | None, *, roundtrip: bool) -> CheckReport:
    """Run the checks; a failing one is in the report, not raised.

    Args:
        cache: Pinged, and asked for what the cache needs; nothing is written.
        database: Asked for its words, if there is one.
        roundtrip: Also store, read and remove an entry, as a cached function does. Left out when Redis
            does not answer.
    """
    target, started = cache.settings.target, time.perf_counter()
    usable, fleet = await asyncio.gather(
        _run("redis", lambda: _usable(cache)),
        inspect_fleet(target, within=cache.settings.operation_timeout),
    )
    results = [usable]
    if fleet.nodes:
        results.append(_of_fleet(target.kind, fleet, time.perf_counter() - started))
    if roundtrip and results[0].error is None:
        results.append(await _run("round trip", lambda: _roundtrip(cache)))
    if database is not None:
        from langcache_cli.vocabulary import DatabaseError  # noqa: PLC0415 - SQLAlchemy takes as long as all else

        results.append(await _run("database", lambda: _words(database), DatabaseError))
    return CheckReport(tuple(results), fleet)


def _of_fleet(kind: str, fleet: Inspection, seconds: float) -> CheckResult:
    """One result for all nodes; its error is that of the worst finding. A warning is named, and no error."""
    errors, warnings = fleet.of("error"), fleet.of("warning")
    detail = "; ".join(finding.found for finding in (*errors, *warnings))
    if not errors:
        roles = Counter(node.role for node in fleet.nodes)
        counts = ", ".join(f"{role} {count}" for role, count in roles.items())
        return CheckResult(kind, f"{counts}; {detail}" if detail else counts, seconds)
    worst = next((finding for finding in errors if finding.error is not None), errors[0])
    return CheckResult(kind, detail, seconds, worst.error or CheckFailedError(detail), worst.mend)


async def _run(
    name: str, step: Callable[[], Awaitable[str]], *also_fails_with: type[Exception]
) -> CheckResult:
    failures: tuple[type[Exception], ...] = (CacheError, CheckFailedError, *also_fails_with)
    started = time.perf_counter()
    detail, failure = "", None
    try:
        detail = await step()
    except failures as error:
        detail, failure = str(error), error
    return CheckResult(name, detail, time.perf_counter() - started, failure)


async def _usable(cache: Cache) -> str:
    """Find out whether the cache could work: a server that answers a ping may refuse all else.

    Raises:
        CacheError: It does not answer, refuses a command of the cache, or is not the one to write to.
    """
    await cache.ping()
    server, problem = await cache.usability()
    if problem is not None:
        raise problem
    return f"{server.product} {server.version}"


async def _roundtrip(cache: Cache) -> str:
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
    return "stored, read and removed an entry"


async def _words(database: Database) -> str:
    from langcache_cli.vocabulary import groups  # noqa: PLC0415 - as above

    found = await groups(database)
    words = sum(group.words for group in found)
    if not words:
        raise CheckFailedError(f"vocabulary_words is empty ({database.target})")
    return f"{words:,} words"
