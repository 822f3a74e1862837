"""The state of what a URL names, for `check`; see `diagnose` for everything that is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from langcache_cli.caching.tooling import RedisTarget
from langcache_cli.operations.diagnosis import cluster_findings, sentinel_findings
from langcache_cli.operations.diagnosis.cluster_facts import QUESTIONS, cluster_facts
from langcache_cli.operations.diagnosis.finding import Finding
from langcache_cli.operations.diagnosis.node_row import NodeRow, cluster_rows, sentinel_rows
from langcache_cli.operations.diagnosis.sentinel_facts import sentinel_facts


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
        found = sorted_by_severity([*cluster_findings.refused(cluster), *cluster_findings.state(cluster)])
        if not cluster.nodes and not found:  # the check of Redis itself says why
            return Inspection()
        return Inspection(cluster_rows(cluster, found), found)
    if target.kind == "sentinel":
        service = await sentinel_facts(target, within=within)
        found = sorted_by_severity(sentinel_findings.state(service))
        return Inspection(sentinel_rows(service, found), found)
    return Inspection()


def sorted_by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings, then notes."""
    order = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(findings, key=lambda finding: order[finding.severity]))
