"""One row for each server: where it is, what it is for, how it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from langcache_cli.operations.diagnosis.cluster_facts import ClusterFacts
from langcache_cli.operations.diagnosis.finding import Finding, Severity
from langcache_cli.operations.diagnosis.sentinel_facts import SentinelFacts
from langcache_cli.operations.diagnosis.server_facts import ServerFacts


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One server.

    Attributes:
        where: Host and port, or the path of its socket.
        role: ``primary``, ``replica`` or ``sentinel``; empty if it does not say.
        seconds: The round trip of a command; None if it did not answer, or was not measured.
        used_bytes: Memory in use; None if it is not known.
        max_bytes: ``maxmemory``, 0 for no limit; None if it is not known.
        policy: ``maxmemory-policy``; empty if it is not known.
        slots: How many slots it owns; None outside a cluster.
        worst: The worst finding about it; None if there is none.
    """

    where: str
    role: str
    seconds: float | None = None
    used_bytes: int | None = None
    max_bytes: int | None = None
    policy: str = ""
    slots: int | None = None
    worst: Severity | None = None


def cluster_rows(facts: ClusterFacts, findings: Sequence[Finding]) -> tuple[NodeRow, ...]:
    """One row for each member; one for each node of the URL if no member could be asked."""
    if not facts.nodes:
        return tuple(_row(seed, "", findings) for seed in facts.seeds)
    return tuple(_row(node.server, node.role, findings, slots=len(node.member.slots)) for node in facts.nodes)


def sentinel_rows(facts: SentinelFacts, findings: Sequence[Finding]) -> tuple[NodeRow, ...]:
    """The primary, then the sentinels."""
    primary = () if facts.primary is None else (_row(facts.primary, "primary", findings),)
    sentinels = [
        NodeRow(view.where, "sentinel", view.seconds, worst=_worst(view.where, findings))
        for view in facts.sentinels
    ]
    return (*primary, *sentinels)


def server_row(server: ServerFacts, findings: Sequence[Finding]) -> NodeRow:
    """The row of a single server."""
    roles = {"master": "primary", "slave": "replica"}
    return _row(server, roles.get(server.info.get("role", ""), ""), findings)


def _row(server: ServerFacts, role: str, findings: Sequence[Finding], *, slots: int | None = None) -> NodeRow:
    return NodeRow(
        server.where,
        role,
        server.seconds,
        server.number("used_memory"),
        server.number("maxmemory"),
        server.info.get("maxmemory_policy", ""),
        slots,
        _worst(server.where, findings),
    )


def _worst(where: str, findings: Iterable[Finding]) -> Severity | None:
    found = {finding.severity for finding in findings if where in finding.where}
    order: tuple[Severity, ...] = ("error", "warning", "note")
    return next((severity for severity in order if severity in found), None)
