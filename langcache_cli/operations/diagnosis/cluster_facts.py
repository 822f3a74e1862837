"""What the nodes of a cluster say of themselves and of each other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from langcache_cli.caching.tooling import SLOTS, NodeName, RedisTarget, all_names
from langcache_cli.operations.diagnosis.server_facts import (
    INFO,
    Question,
    ServerFacts,
    ask_server,
    config_get,
    fields_of,
)

CLUSTER_INFO: Final = ("CLUSTER", "INFO")
CLUSTER_NODES: Final = ("CLUSTER", "NODES")
CLUSTER_SLOTS: Final = ("CLUSTER", "SLOTS")

SETTINGS: Final = (
    "cluster-require-full-coverage",
    "cluster-allow-reads-when-down",
    "cluster-node-timeout",
)
QUESTIONS: Final[tuple[Question, ...]] = (INFO, CLUSTER_INFO, CLUSTER_NODES, CLUSTER_SLOTS)
QUESTIONS_OF_DOCTOR: Final = (*QUESTIONS, *map(config_get, SETTINGS))

_SLOT_FIELDS: Final = 8
"""In a line of ``CLUSTER NODES`` the slots follow so many other fields."""


@dataclass(frozen=True, slots=True)
class Member:
    """A line of ``CLUSTER NODES``.

    Attributes:
        node_id: The id of the node.
        host: Host name or address; empty if the cluster does not know it.
        port: TCP port.
        flags: Such as ``master``, ``slave``, ``fail``, ``myself``.
        primary_id: Of a replica, the id of its primary; ``-`` for a primary.
        slots: The slots that it owns.
        open_slots: Of the node that was asked, how many slots are on their way to or from it.
    """

    node_id: str
    host: str
    port: int
    flags: frozenset[str]
    primary_id: str
    slots: frozenset[int]
    open_slots: int

    @classmethod
    def parse(cls, line: str) -> Member | None:
        """Parse a line; None for a node that is not a member yet, or no more."""
        fields = line.split()
        if len(fields) < _SLOT_FIELDS:
            return None
        flags = frozenset(fields[2].split(","))
        if flags & {"handshake", "noaddr"}:
            return None
        host, _, port = fields[1].partition("@")[0].rpartition(":")
        words = fields[_SLOT_FIELDS:]
        owned = [word.partition("-") for word in words if not word.startswith("[")]
        return cls(
            fields[0],
            host.strip("[]"),
            int(port),
            flags,
            fields[3],
            frozenset(slot for first, _, last in owned for slot in range(int(first), int(last or first) + 1)),
            sum(word.startswith("[") for word in words),
        )

    @property
    def is_primary(self) -> bool:
        """True for a primary, also one without slots."""
        return "master" in self.flags


@dataclass(frozen=True, slots=True)
class ClusterNodeFacts:
    """A member and what it says of itself."""

    member: Member
    server: ServerFacts

    @property
    def role(self) -> str:
        """``primary`` or ``replica``, as the cluster sees it."""
        return "primary" if self.member.is_primary else "replica"

    @property
    def own_view(self) -> Member | None:
        """What it says of itself in ``CLUSTER NODES``."""
        return myself(self.server)

    @property
    def says_fail(self) -> bool:
        """True if it says that the cluster is down."""
        return fields_of(self.server.replies.get(CLUSTER_INFO)).get("cluster_state") == "fail"


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """A cluster.

    Attributes:
        seeds: The nodes that the URL names.
        nodes: All members by the latest view that could be had, primaries first; empty if none could.
    """

    seeds: tuple[ServerFacts, ...]
    nodes: tuple[ClusterNodeFacts, ...]

    @property
    def primaries(self) -> tuple[ClusterNodeFacts, ...]:
        """The nodes that own slots."""
        return tuple(node for node in self.nodes if node.member.slots)

    @property
    def missing_slots(self) -> list[int]:
        """The slots that no node owns; what a node says of itself counts more than what others say of it."""
        views = (node.own_view or node.member for node in self.nodes)
        owned = frozenset[int]().union(*(view.slots for view in views))
        return [slot for slot in range(SLOTS) if slot not in owned]

    def replicas_of(self, primary: ClusterNodeFacts) -> list[ClusterNodeFacts]:
        """The replicas of a primary that answer."""
        return [
            node
            for node in self.nodes
            if node.member.primary_id == primary.member.node_id and node.server.error is None
        ]


async def cluster_facts(
    target: RedisTarget, *, within: float, questions: Sequence[Question] = QUESTIONS
) -> ClusterFacts:
    """Ask the nodes that the URL names, then all others that they know.

    Args:
        target: The cluster.
        within: Seconds for everything.
        questions: What to ask each node, `QUESTIONS` included.
    """
    asked = [ask_server(target.at(host, port), questions, within=within / 2) for host, port in target.hosts]
    seeds = tuple(await asyncio.gather(*asked))
    view = max((seed for seed in seeds if myself(seed)), key=_trust, default=None)
    if view is None:
        return ClusterFacts(seeds, ())
    known = {own.node_id: seed for seed in seeds if (own := myself(seed))}
    names = _names(view)
    members = [_named(member, names, view.address.host) for member in members_of(view)]
    rest = [member for member in members if member.node_id not in known]
    asked = [ask_server(target.at(member.host, member.port), questions, within=within / 2) for member in rest]
    known |= {member.node_id: facts for member, facts in zip(rest, await asyncio.gather(*asked), strict=True)}
    nodes = [ClusterNodeFacts(member, known[member.node_id]) for member in members]
    return ClusterFacts(seeds, tuple(sorted(nodes, key=_place)))


def members_of(server: ServerFacts) -> list[Member]:
    """The members that a node knows."""
    reply = server.replies.get(CLUSTER_NODES)
    lines = reply.decode("utf-8", "replace").splitlines() if isinstance(reply, bytes) else ()
    return [member for line in lines if (member := Member.parse(line))]


def myself(server: ServerFacts) -> Member | None:
    """The node itself, as it says; None if it is no node of a cluster, or does not say."""
    return next((member for member in members_of(server) if "myself" in member.flags), None)


def _trust(server: ServerFacts) -> tuple[bool, int]:
    """Of two views the better one is that of a node that sees a working cluster, then the later one."""
    facts = fields_of(server.replies.get(CLUSTER_INFO))
    return facts.get("cluster_state") == "ok", int(facts.get("cluster_current_epoch", 0))


def _names(view: ServerFacts) -> Mapping[str, NodeName]:
    """The names by which clients are to connect, by id: certificates are made for these."""
    rows = view.replies.get(CLUSTER_SLOTS)
    if not isinstance(rows, list):
        return {}
    return {name.node_id: name for name in all_names(rows, view.address.host)}


def _named(member: Member, names: Mapping[str, NodeName], asked_host: str) -> Member:
    name = names.get(member.node_id)
    if name is not None:
        return replace(member, host=name.host, port=name.port)
    return replace(member, host=member.host or asked_host)


def _place(node: ClusterNodeFacts) -> tuple[bool, int, str, int]:
    member = node.member
    return not member.is_primary, min(member.slots, default=SLOTS), member.host, member.port
