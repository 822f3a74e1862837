"""Findings about the sentinels of a service."""

from __future__ import annotations

from collections.abc import Iterator

from langcache_cli.caching import CacheUnavailableError
from langcache_cli.operations.diagnosis.finding import Finding
from langcache_cli.operations.diagnosis.sentinel_facts import SentinelFacts
from langcache_cli.operations.diagnosis.server.unreachable import unreachable


def state(facts: SentinelFacts) -> Iterator[Finding]:
    """Sentinels that do not answer, too few of them, a primary that does not answer or has no replica."""
    for view in facts.sentinels:
        if view.primary is None:
            yield Finding(
                "sentinel-unreachable",
                "error",
                f"the sentinel {view.where} cannot be asked: {view.problem}",
                "The others must agree without it that a primary is lost.",
                "Start it again, or take it out of REDIS_URL.",
                (view.where,),
            )
    yield from _majority(facts)
    latest = facts.latest
    if facts.primary is None or latest is None or latest.primary is None:
        return
    yield from unreachable(facts.primary, f"the primary {facts.primary.where}")
    if latest.replicas == 0:
        yield Finding(
            "replica-missing",
            "warning",
            f"the primary {facts.primary.where} has no replica that the sentinels know",
            "When it dies, no other can take its place: the cache is away until it is back.",
            f"On another server: redis-cli REPLICAOF {latest.primary.host} {latest.primary.port}",
            (facts.primary.where,),
        )


def _majority(facts: SentinelFacts) -> Iterator[Finding]:
    answering = [view for view in facts.sentinels if view.primary is not None]
    total = max([len(facts.sentinels), *(view.sentinels for view in answering)])
    if 2 * len(answering) <= total:
        yield Finding(
            "sentinels-no-majority",
            "error",
            f"{len(answering)} of {total} sentinels answer, which is no majority",
            "A primary that is lost is not replaced, and a process may be led to an old one.",
            "Start the other sentinels, and name all of them in REDIS_URL.",
            error=None if answering else _unavailable(facts),
        )


def _unavailable(facts: SentinelFacts) -> CacheUnavailableError:
    view = facts.sentinels[0]
    return CacheUnavailableError(view.problem, target=str(view.address))
