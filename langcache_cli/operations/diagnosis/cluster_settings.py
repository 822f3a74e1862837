"""Findings about the settings of the nodes of a cluster, for `doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from langcache_cli.operations.diagnosis.cluster_facts import SETTINGS, ClusterFacts, ClusterNodeFacts
from langcache_cli.operations.diagnosis.finding import Finding, Severity
from langcache_cli.operations.diagnosis.redis_cli import cluster_cli
from langcache_cli.operations.diagnosis.server_facts import config_get

LONGEST_NODE_TIMEOUT_MS: Final = 5000
TELLS_OF_LOST_SLOTS: Final = (7, 2)
"""Since this version a server says which keys it drops when a slot is taken from it by force."""


@dataclass(frozen=True, slots=True)
class _Setting:
    """A setting that should be another.

    Attributes:
        name: As in redis.conf.
        severity: How bad that is.
        why: Why it matters.
        better: What it should be.
    """

    name: str
    severity: Severity
    why: str
    better: str

    def wrong_on(self, nodes: Sequence[ClusterNodeFacts], value: str) -> Finding:
        """The finding that it is ``value`` on some nodes; `redis-cli` changes it on all."""
        where = tuple(node.server.where for node in nodes)
        mend = cluster_cli(nodes[0].server.address, "call", f"CONFIG SET {self.name} {self.better}")
        return Finding(
            self.name,
            self.severity,
            f"{self.name} is {value} on {', '.join(where)}",
            self.why,
            mend,
            where,
        )


NOT_YES: Final = (
    _Setting(
        "cluster-allow-reads-when-down",
        "error",
        "A node that is cut off from the cluster goes on answering, also with values that were invalidated.",
        "no",
    ),
    _Setting(
        "cluster-require-full-coverage",
        "warning",
        "While one shard has no primary, all others refuse entries, too: about a second at each failover.",
        "no",
    ),
)
NODE_TIMEOUT: Final = _Setting(
    "cluster-node-timeout",
    "warning",
    "A primary that dies is replaced after up to 2.6 times as long; its entries are away until then.",
    str(LONGEST_NODE_TIMEOUT_MS),
)


def settings(facts: ClusterFacts) -> Iterator[Finding]:
    """Settings that make outages longer or larger, or let old values be read."""
    nodes = [node for node in facts.nodes if node.server.error is None]
    for setting in NOT_YES:
        if wrong := [node for node in nodes if node.server.setting(setting.name) == "yes"]:
            yield setting.wrong_on(wrong, "yes")
    if slow := [node for node in nodes if _node_timeout_ms(node) > LONGEST_NODE_TIMEOUT_MS]:
        yield NODE_TIMEOUT.wrong_on(slow, f"{max(map(_node_timeout_ms, slow)) / 1000:g} s")
    yield from _unseen(nodes)


def open_slots(facts: ClusterFacts) -> Iterator[Finding]:
    """Slots on their way between old servers, which do not say which keys they drop."""
    for node in facts.nodes:
        own = node.own_view
        if own is not None and own.open_slots and () < node.server.version < TELLS_OF_LOST_SLOTS:
            version = node.server.info.get("redis_version", "")
            yield Finding(
                "open-slots",
                "warning",
                f"{node.server.where} is Redis {version} and has {own.open_slots:,} slots on their way",
                "Before 7.2 Redis says nothing of keys that it drops when a slot is taken from it by force: "
                "entries in the memory of processes (local_ttl) may be old until their local_ttl ends.",
                f"To end the move: {cluster_cli(node.server.address, 'fix')}",
                (node.server.where,),
            )


def _node_timeout_ms(node: ClusterNodeFacts) -> int:
    value = node.server.setting("cluster-node-timeout") or ""
    return int(value) if value.isdecimal() else 0


def _unseen(nodes: list[ClusterNodeFacts]) -> Iterator[Finding]:
    for node in nodes:
        if refusal := node.server.refused(config_get(SETTINGS[0])):
            yield Finding(
                "not-seen-config",
                "note",
                f"{', '.join(SETTINGS)} were not looked at, as CONFIG GET is refused: {refusal}",
                "Services that manage Redis keep these settings in a parameter group, if at all.",
                "Look there, or name a user with +config|get in REDIS_URL for this command.",
                (node.server.where,),
            )
            return
