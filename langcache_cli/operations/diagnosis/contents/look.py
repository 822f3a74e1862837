"""One bounded look at what Redis holds and at what was counted, and the findings of both."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from langcache_cli.caching import Cache, CacheError, CacheSettings, ServerReplyError
from langcache_cli.caching.tooling import PLAIN, CacheReport
from langcache_cli.operations.diagnosis.contents.calls import SPAN, bypassed, cold, load_errors
from langcache_cli.operations.diagnosis.contents.elsewhere import elsewhere, look_elsewhere
from langcache_cli.operations.diagnosis.contents.entries import big, empty_types, without_end
from langcache_cli.operations.diagnosis.finding import Finding
from langcache_cli.operations.diagnosis.redis_cli import redis_cli
from langcache_cli.operations.diagnosis.server.state import more_memory
from langcache_cli.operations.diagnosis.server_facts import ServerFacts
from langcache_cli.operations.opening import open_cache
from langcache_cli.operations.overview.census import OTHERS, OWN, Census
from langcache_cli.operations.overview.document import Summary
from langcache_cli.operations.overview.keyspace import KeyspaceWatch
from langcache_cli.operations.overview.summaries import summary_of
from langcache_cli.operations.statistics.stored_entries import function_keys
from langcache_cli.readable import number_of

DRAWS: Final = 1_000
"""Keys that are looked at where there are many."""

NOT_SEEN: Final = "not-seen-keys"

LOOK, ANSWER = 0.6, 0.3
"""Of the time: for looking, and for one command of it, which is also what closing may take."""


async def contents(
    settings: CacheSettings, servers: Sequence[ServerFacts], *, within: float
) -> list[Finding]:
    """What is wrong with the entries and the calls of a namespace.

    Args:
        settings: The namespace, and where it is.
        servers: The servers that hold it, as asked before.
        within: Seconds for everything.
    """
    brief = settings.model_copy(update={"operation_timeout": min(60.0, max(ANSWER * within, 0.001))})
    try:
        async with open_cache(brief) as cache, asyncio.timeout(LOOK * within):
            return await _looked_at(cache, servers)
    except (CacheError, OSError) as error:  # TimeoutError is an OSError
        text = str(error) or f"it took more than {LOOK * within:.1f} s"
        return [
            Finding(
                NOT_SEEN,
                "note",
                f"keys and counters were not looked at: {text}",
                "Entries without a TTL, large ones and types that miss would not be noticed.",
                "Run it again with --timeout 30, as a user with the rights of docs/production.md.",
            )
        ]


async def _looked_at(cache: Cache, servers: Sequence[ServerFacts]) -> list[Finding]:
    settings = cache.settings
    census = await KeyspaceWatch(cache, first_draws=DRAWS).look()
    try:
        report, problem = await cache.report(), ""
    except ServerReplyError as error:
        report, problem = CacheReport(0, {}), str(error)
    has_counters = bool(report.functions) or await cache.holds(f"{settings.namespace}@stats:labels")
    has_entries = bool(census.types - {OTHERS, OWN})
    evicted = sum(server.number("evicted_keys") or 0 for server in servers)
    found = [*_of_keys(census, settings), *_of_calls(report, census, settings, evicted=evicted)]
    if has_entries and not has_counters and not problem:
        found += _counters_evicted(servers, settings.namespace)
    is_ours = has_entries or has_counters or OWN in census.types
    if not is_ours and not problem and servers:
        server = servers[0]
        found += elsewhere(
            await look_elsewhere(server),
            server.address,
            settings.namespace,
            is_one=settings.target.kind == "one",
        )
    return found


def _of_keys(census: Census, settings: CacheSettings) -> Iterator[Finding]:
    yield from without_end(census, settings)
    yield from big(census)


def _of_calls(
    report: CacheReport, census: Census, settings: CacheSettings, *, evicted: int
) -> Iterator[Finding]:
    types: Mapping[str, Summary] = {name: summary_of(numbers) for name, numbers in report.types.items()}
    # what is counted as (plain) is of any type, and there are no keys of that one
    named = [name for name in types if name != PLAIN.type]
    ttls = {name: settings.types.of_name_or_prefix(name).ttl_seconds for name in named}
    keys = function_keys(census, settings.namespace, report.functions)
    yield from bypassed(summary_of(report.total))
    yield from cold(types, report.functions, keys, evicted=evicted)
    yield from empty_types(census, types, ttls)
    yield from load_errors(types, SPAN)


def _counters_evicted(servers: Sequence[ServerFacts], namespace: str) -> Iterator[Finding]:
    """Entries are there, and no counter is: Redis has evicted it."""
    for server in servers:
        if evicted := server.number("evicted_keys"):
            command = more_memory(server.number("maxmemory") or 0)
            yield Finding(
                "counters-evicted",
                "warning",
                f"{namespace}@stats has no counters, though entries are there; "
                f"{number_of(evicted, 'key was', 'keys were')} evicted",
                "The numbers of stats, watch and the dashboard are lost with each eviction.",
                redis_cli(server.address, command),
                (server.where,),
            )
            return
