"""How findings and rows of nodes are shown, for the commands that have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from langcache_cli.cli.failures import CommandError, Failure, explain
from langcache_cli.cli.output import Output, milliseconds
from langcache_cli.readable import size

if TYPE_CHECKING:
    from langcache_cli.operations.diagnosis.finding import Finding
    from langcache_cli.operations.diagnosis.inspection import Inspection

_TEXTS = ("Result", "Node", "Role", "Policy")

_RESULTS = {None: "ok", "note": "ok", "warning": "warning", "error": "failed"}


def fleet_document(inspection: Inspection) -> dict[str, Any]:
    """The part of a JSON document that has the rows and the findings."""
    nodes = [
        {
            "address": node.where,
            "role": node.role or None,
            "result": _RESULTS[node.worst],
            "latency_ms": None if node.seconds is None else 1000 * node.seconds,
            "used_memory_bytes": node.used_bytes,
            "max_memory_bytes": node.max_bytes,
            "eviction_policy": node.policy or None,
            "slots": node.slots,
        }
        for node in inspection.nodes
    ]
    findings = [
        {
            "name": finding.name,
            "severity": finding.severity,
            "addresses": list(finding.where),
            "found": finding.found,
            "why": finding.why,
            "mend": mend_of(finding),
        }
        for finding in inspection.findings
    ]
    return {"nodes": nodes, "findings": findings}


def mend_of(finding: Finding) -> str:
    """What to type or to change."""
    if finding.mend or finding.error is None:
        return finding.mend
    return explain(finding.error).hint


def counted(*counts: tuple[str, str, int]) -> str:
    """``1 error, 2 warnings``: each count with what it counts, one and several; without those that are 0."""
    return ", ".join(f"{n:,} {one if n == 1 else several}" for one, several, n in counts if n)


def raise_all(output: Output, failures: Sequence[Failure]) -> NoReturn:
    """Print all failures on stderr; in a JSON document only the last one has a place.

    Args:
        output: Where to print.
        failures: The last one decides the exit code.

    Raises:
        CommandError: The last failure.
    """
    *others, last = failures
    for failure in others:
        output.failure(failure)
    raise CommandError(last.code, last.message, last.hint)


def show_nodes(output: Output, inspection: Inspection) -> None:
    """Print one row for each node, without columns that say nothing; nothing if there is no node."""
    if not inspection.nodes:
        return

    def memory(n_bytes: int | None) -> str:
        return "-" if n_bytes is None else size(n_bytes)

    columns = {
        "Result": [_RESULTS[node.worst] for node in inspection.nodes],
        "Node": [node.where for node in inspection.nodes],
        "Role": [node.role or "-" for node in inspection.nodes],
        "Policy": [node.policy or "-" for node in inspection.nodes],
        "Memory": [memory(node.used_bytes) for node in inspection.nodes],
        "Limit": ["no limit" if node.max_bytes == 0 else memory(node.max_bytes) for node in inspection.nodes],
        "Slots": ["-" if node.slots is None else f"{node.slots:,}" for node in inspection.nodes],
        "Latency": [
            milliseconds(None if node.seconds is None else 1000 * node.seconds) for node in inspection.nodes
        ],
    }
    shown = {heading: cells for heading, cells in columns.items() if {*cells} != {"-"}}
    texts = sum(heading in _TEXTS for heading in shown)
    drops = ("Slots", "Policy", "Limit", "Memory", "Latency", "Role")
    rows = list(zip(*shown.values(), strict=True))
    output.table("", list(shown), rows, text_columns=texts, drops=drops)
