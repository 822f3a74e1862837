"""All findings about what a URL names: the state alone for `check`, everything for `doctor`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from langcache_cli.caching import CacheSettings
from langcache_cli.caching.tooling import RedisTarget, trial
from langcache_cli.operations.diagnosis import (
    cluster_findings,
    cluster_settings,
    sentinel_findings,
    server_findings,
)
from langcache_cli.operations.diagnosis.cluster_facts import (
    QUESTIONS,
    QUESTIONS_OF_DOCTOR,
    cluster_facts,
)
from langcache_cli.operations.diagnosis.finding import Finding
from langcache_cli.operations.diagnosis.node_row import NodeRow, cluster_rows, sentinel_rows, server_row
from langcache_cli.operations.diagnosis.sentinel_facts import sentinel_facts
from langcache_cli.operations.diagnosis.server_facts import INFO, ask_server


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found.

    Attributes:
        nodes: One row for each server.
        findings: Errors first, then warnings, then notes.
    """

    nodes: tuple[NodeRow, ...] = ()
    findings: tuple[Finding, ...] = ()

    def of(self, severity: str) -> tuple[Finding, ...]:
        """The findings of one severity."""
        return tuple(finding for finding in self.findings if finding.severity == severity)


async def inspect_fleet(target: RedisTarget, *, within: float) -> Inspection:
    """Whether all nodes of a cluster, or all sentinels and the primary, are as they should be.

    Args:
        target: What the URL names; of a single server nothing is asked.
        within: Seconds for everything.
    """
    if target.kind == "cluster":
        cluster = await cluster_facts(target, within=within, questions=QUESTIONS)
        found = _sorted([*cluster_findings.refused(cluster), *cluster_findings.state(cluster)])
        if not cluster.nodes and not found:  # the check of Redis itself says why
            return Inspection()
        return Inspection(cluster_rows(cluster, found), found)
    if target.kind == "sentinel":
        service = await sentinel_facts(target, within=within)
        found = _sorted(sentinel_findings.state(service))
        return Inspection(sentinel_rows(service, found), found)
    return Inspection()


async def diagnose(settings: CacheSettings, *, within: float) -> Inspection:
    """Everything that is wrong, or may soon be. Nothing is written.

    Args:
        settings: The URL and the namespace.
        within: Seconds for each of two rounds of questions.
    """
    target = settings.target
    tried = trial(settings.namespace, is_cluster=target.kind == "cluster")
    if target.kind == "cluster":
        cluster = await cluster_facts(target, within=within, questions=(*QUESTIONS_OF_DOCTOR, *tried))
        found = [*cluster_findings.reachable(cluster), *cluster_findings.refused(cluster)]
        found += [*cluster_findings.state(cluster), *cluster_findings.strangers(cluster)]
        for node in cluster.primaries:
            found += server_findings.unusable(node.server, tried, is_cluster=True)
        primaries = [node.server for node in cluster.primaries]
        found += server_findings.memory(primaries, is_cluster=True)
        found += [*cluster_settings.settings(cluster), *cluster_settings.open_slots(cluster)]
        return Inspection(cluster_rows(cluster, found), _sorted(found))
    if target.kind == "sentinel":
        service = await sentinel_facts(target, within=within, questions=(INFO, *tried))
        found = [*sentinel_findings.state(service)]
        if service.primary is not None:
            found += server_findings.unusable(service.primary, tried, is_behind_sentinel=True)
            found += server_findings.memory([service.primary])
        return Inspection(sentinel_rows(service, found), _sorted(found))
    server = await ask_server(target.server, (INFO, *tried), within=within)
    found = [*server_findings.unreachable(server)]
    found += server_findings.unusable(server, tried)
    found += server_findings.memory([server])
    return Inspection((server_row(server, found),), _sorted(found))


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    order = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(findings, key=lambda finding: order[finding.severity]))
