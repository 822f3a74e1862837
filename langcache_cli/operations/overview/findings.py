"""What the overview calls to attention, worst first: findings of the library that `doctor` has them from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from langcache_cli.caching import CacheError
from langcache_cli.caching.tooling import ServerReport
from langcache_cli.operations.diagnosis.contents import calls
from langcache_cli.operations.diagnosis.finding import Finding as Found
from langcache_cli.operations.diagnosis.server import state
from langcache_cli.operations.overview.document import Finding, Summary, TypeSummary

AT_MOST = 5
EXPLAINS = "langcache doctor"
"""The command for a finding that is not mended by one of ours."""


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
    found = [
        *_of_server(server, problem, started_in_window=started_in_window),
        *calls.bypassed(total),
        *calls.load_errors(types),
    ]
    return [_shown(one) for one in found[:AT_MOST]]


def _of_server(
    server: ServerReport, problem: CacheError | None, *, started_in_window: bool
) -> Iterator[Found]:
    if problem is not None:
        yield state.unusable(problem)
    yield from state.full_memory(
        server.used_memory_bytes,
        server.max_memory_bytes,
        policy=server.eviction_policy,
        evicted=server.evicted_keys,
    )
    if started_in_window:
        yield state.restarted(server.uptime_seconds)


def _shown(found: Found) -> Finding:
    """As part of the document."""
    return Finding(
        level="bad" if found.severity == "error" else "warn",
        title=found.found,
        text=found.why,
        command=found.mend if found.mend.startswith("langcache ") else EXPLAINS,
    )
