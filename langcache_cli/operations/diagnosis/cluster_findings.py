"""Findings about a cluster as a whole: its nodes and its slots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from langcache_cli.caching import CacheUnavailableError, ConfigurationError
from langcache_cli.caching.tooling import SLOTS
from langcache_cli.operations.diagnosis.cluster_facts import CLUSTER_NODES, ClusterFacts, ClusterNodeFacts
from langcache_cli.operations.diagnosis.finding import Finding
from langcache_cli.operations.diagnosis.redis_cli import cluster_cli, redis_cli
from langcache_cli.operations.diagnosis.server.unreachable import unreachable

SHOWN_RANGES: Final = 5
"""So many ranges of slots are named; of more only the number."""


def reachable(facts: ClusterFacts) -> Iterator[Finding]:
    """No node that the URL names can be asked, or it is none of a cluster."""
    if facts.nodes:
        return
    for seed in facts.seeds:
        yield from unreachable(seed, "the node")
        if seed.info.get("cluster_enabled") == "0":
            scheme = "rediss" if seed.address.tls else "redis"
            yield Finding(
                "plain-server-behind-cluster-url",
                "error",
                "REDIS_URL names a cluster, and a single Redis answers there",
                "Nothing can be read or stored: every call runs its function.",
                f"Write REDIS_URL={scheme}://{'...@' if seed.address.password else ''}{seed.where}/0",
                (seed.where,),
                ConfigurationError("REDIS_URL names a cluster, and one Redis answers", variable="REDIS_URL"),
            )


def refused(facts: ClusterFacts) -> Iterator[Finding]:
    """The nodes answer, and the user may not ask them for the members."""
    refusals = [(seed, error) for seed in facts.seeds if (error := seed.refused(CLUSTER_NODES))]
    if facts.nodes or not refusals or refusals[0][0].info.get("cluster_enabled") == "0":
        return
    yield Finding(
        "right-missing",
        "error",
        f"the nodes of the cluster cannot be found out: {refusals[0][1]}",
        "Patterns cannot be invalidated, and what is wrong with a node is not noticed.",
        where=tuple(seed.where for seed, _ in refusals),
        error=refusals[0][1],
    )


def strangers(facts: ClusterFacts) -> Iterator[Finding]:
    """Hosts of the URL that do not answer, and are no members by that name."""
    members = {node.server.where for node in facts.nodes}
    away = tuple(seed.where for seed in facts.seeds if seed.error is not None and seed.where not in members)
    if away and facts.nodes:
        yield Finding(
            "url-names-no-member",
            "warning",
            f"REDIS_URL names {', '.join(away)}, which does not answer and is no node of the cluster",
            "A process that starts while the other hosts of the URL are away does not find the cluster.",
            f"Name nodes that exist: {','.join(node.server.where for node in facts.primaries)}",
            away,
        )


def state(facts: ClusterFacts) -> Iterator[Finding]:
    """Dead nodes, slots without an owner, nodes that say that the cluster is down, missing replicas."""
    for node in facts.nodes:
        if node.server.error is not None:
            yield _dead(node, facts)
    if missing := facts.missing_slots if facts.nodes else []:
        some = _first_that_answers(facts)
        text = f"{len(missing):,} of {SLOTS:,} slots have no owner: {ranges(missing)}"
        yield Finding(
            "slots-missing",
            "error",
            text,
            "Entries in these slots cannot be read; with full coverage no entry can.",
            cluster_cli(some.server.address, "fix") if some else "",
            error=CacheUnavailableError(text, target=str(some.server.address) if some else "the cluster"),
        )
    for node in facts.nodes:
        if node.says_fail:
            text = f"the node {node.server.where} says cluster_state:fail"
            yield Finding(
                "cluster-state-fail",
                "error",
                text,
                "It refuses all entries (CLUSTERDOWN) until it sees most primaries and all slots.",
                cluster_cli(node.server.address, "check"),
                (node.server.where,),
                CacheUnavailableError(text, target=str(node.server.address)),
            )
    for primary in facts.primaries:
        if not facts.replicas_of(primary):
            yield Finding(
                "replica-missing",
                "warning",
                f"the shard of {primary.server.where} has no replica that answers",
                f"When that node dies, {_share(primary)} of the entries are away until it is back.",
                cluster_cli(
                    primary.server.address,
                    "add-node NEW_HOST:PORT",
                    f"--cluster-slave --cluster-master-id {primary.member.node_id}",
                ),
                (primary.server.where,),
            )


def ranges(slots: Sequence[int]) -> str:
    """Sorted slots as ``0-99, 101``; only the first ranges, if there are many."""
    found: list[tuple[int, int]] = []
    for slot in slots:
        if found and found[-1][1] == slot - 1:
            found[-1] = found[-1][0], slot
        else:
            found.append((slot, slot))
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in found[:SHOWN_RANGES]]
    more = len(found) - SHOWN_RANGES
    return ", ".join(texts) + (f" and {more:,} more ranges" if more > 0 else "")


def _dead(node: ClusterNodeFacts, facts: ClusterFacts) -> Finding:
    server, error = node.server, node.server.error
    reason = getattr(error, "reason", str(error)).removeprefix("Redis ")
    is_down = error is not None and isinstance(error.__cause__, ConnectionError | TimeoutError)
    if node.member.slots:
        replica = next(iter(facts.replicas_of(node)), None)
        promote = redis_cli(replica.server.address, "CLUSTER FAILOVER TAKEOVER") if replica else ""
        mend = f"Start it again{', or promote its replica: ' + promote if promote else '.'}"
        return Finding(
            "node-unreachable",
            "error",
            f"the {node.role} {server.where} {reason}",
            f"{_share(node)} of the entries, and all with a tag there, are away; calls run their functions.",
            mend if is_down else "",
            (server.where,),
            error,
        )
    some = _first_that_answers(facts)
    forget = cluster_cli((some or node).server.address, "del-node", node.member.node_id)
    return Finding(
        "node-unreachable",
        "error",
        f"the {'node' if node.member.is_primary else 'replica'} {server.where} {reason}",
        "It has no slots, so no entry is away; it cannot take over for another node.",
        f"Start it again, or take it out of the cluster: {forget}" if is_down else "",
        (server.where,),
        None if is_down else error,
    )


def _first_that_answers(facts: ClusterFacts) -> ClusterNodeFacts | None:
    return next((node for node in facts.nodes if node.server.error is None), None)


def _share(primary: ClusterNodeFacts) -> str:
    return f"{100 * len(primary.member.slots) / SLOTS:.0f} %"
