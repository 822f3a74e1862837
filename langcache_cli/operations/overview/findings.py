"""What the overview calls to attention, worst first."""

from __future__ import annotations

from collections.abc import Mapping

from langcache_cli.caching import CacheError
from langcache_cli.caching.tooling import ServerReport
from langcache_cli.operations.overview.document import Finding, Summary, TypeSummary

AT_MOST = 5
NEARLY_FULL = 0.9
"""Of ``maxmemory``."""


def findings_of(
    total: Summary, types: Mapping[str, TypeSummary], server: ServerReport, problem: CacheError | None
) -> list[Finding]:
    """At most five."""
    found: list[Finding] = []
    if problem is not None:
        found.append(
            Finding(
                level="bad",
                title="Redis cannot hold the cache",
                text=str(problem),
                command="langcache doctor",
            )
        )
    if server.max_memory_bytes and server.used_memory_bytes > NEARLY_FULL * server.max_memory_bytes:
        share = 100 * server.used_memory_bytes / server.max_memory_bytes
        text = f"At the limit: {server.eviction_policy}; {server.evicted_keys:,} keys evicted so far."
        title = f"{share:.0f} % of the memory is used"
        found.append(Finding(level="warn", title=title, text=text, command="langcache doctor"))
    if total["bypassed"]:
        found.append(
            Finding(
                level="warn",
                title=f"{total['bypassed']:,} calls went past the cache",
                text="Redis could not be used for a while.",
                command="langcache check --roundtrip",
            )
        )
    failed = sorted(types.items(), key=lambda item: -item[1]["load_errors"])
    found += [
        Finding(
            level="warn",
            title=f"{name}: {numbers['load_errors']:,} loads failed",
            text="The functions behind the cache raised; old values were served where stale_ttl allows it.",
            command="langcache stats",
        )
        for name, numbers in failed
        if numbers["load_errors"]
    ]
    return found[:AT_MOST]
