"""What the overview calls to attention, worst first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from langcache_cli.caching import CacheError
from langcache_cli.caching.tooling import ServerReport
from langcache_cli.operations.overview.document import Finding, Summary, TypeSummary

AT_MOST = 5
NEARLY_FULL = 0.9
"""Of ``maxmemory``."""


def findings_of(
    total: Summary,
    types: Mapping[str, TypeSummary],
    server: ServerReport,
    problem: CacheError | None,
    *,
    started_in_window: bool,
) -> list[Finding]:
    """At most five.

    Args:
        total: The numbers of everything.
        types: The numbers of each type.
        server: What Redis reports about itself.
        problem: What keeps Redis from holding the cache; None for nothing.
        started_in_window: Redis was started in the window, and has no numbers from before.
    """
    found = [*_of_server(server, problem, started_in_window=started_in_window), *_of_calls(total, types)]
    return found[:AT_MOST]


def _of_server(
    server: ServerReport, problem: CacheError | None, *, started_in_window: bool
) -> Iterator[Finding]:
    if problem is not None:
        title = "Redis cannot hold the cache"
        yield Finding(level="bad", title=title, text=str(problem), command="langcache doctor")
    if server.max_memory_bytes and server.used_memory_bytes > NEARLY_FULL * server.max_memory_bytes:
        share = 100 * server.used_memory_bytes / server.max_memory_bytes
        text = f"At the limit: {server.eviction_policy}; {server.evicted_keys:,} keys evicted so far."
        title = f"{share:.0f} % of the memory is used"
        yield Finding(level="warn", title=title, text=text, command="langcache doctor")
    if started_in_window:
        text = "Numbers from before, if there were any, are lost, and so are the entries."
        title = f"Redis was started {server.uptime_seconds // 60 or '<1'} min ago"
        yield Finding(level="warn", title=title, text=text, command="langcache redis status")


def _of_calls(total: Summary, types: Mapping[str, TypeSummary]) -> Iterator[Finding]:
    if total["bypassed"]:
        title = f"{total['bypassed']:,} calls went past the cache"
        text = "Redis could not be used for a while."
        yield Finding(level="warn", title=title, text=text, command="langcache check --roundtrip")
    for name, numbers in sorted(types.items(), key=lambda item: -item[1]["load_errors"]):
        if numbers["load_errors"]:
            title = f"{name}: {numbers['load_errors']:,} loads failed"
            text = "The functions behind the cache raised; old values were served where stale_ttl allows it."
            yield Finding(level="warn", title=title, text=text, command="langcache stats")
