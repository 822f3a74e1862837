"""Findings about one server that may hold the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from langcache_cli.caching import CacheError, ConfigurationError
from langcache_cli.caching.tooling import problem_of
from langcache_cli.operations.diagnosis.finding import Finding
from langcache_cli.operations.diagnosis.redis_cli import cluster_cli, redis_cli
from langcache_cli.operations.diagnosis.server.unreachable import setting_of
from langcache_cli.operations.diagnosis.server_facts import INFO, Question, ServerFacts

LIMIT: Final = "256mb"
"""What `langcache redis start` gives a server."""

_UNUSABLE: Final = {
    "NOPERM": ("right-missing", "{user} on {where} lacks {rights}", ""),
    "OOM": (
        "memory-full",
        "{where} has no room for another value and evicts nothing",
        "CONFIG SET maxmemory-policy allkeys-lru",
    ),
    "NOREPLICAS": (
        "replicas-wanted",
        "{where} has too few replicas (min-replicas-to-write), and so refuses to store values",
        "CONFIG SET min-replicas-to-write 0",
    ),
    "READONLY": ("replica", "", ""),
    "MASTERDOWN": ("replica", "", ""),
    "CLUSTERDOWN": ("cluster-down", "", ""),
}
"""Name and sentence of the finding, and the command that mends it, by the first word of the reply."""


def unusable(
    server: ServerFacts,
    tried: Sequence[Question],
    *,
    is_cluster: bool = False,
    is_behind_sentinel: bool = False,
) -> Iterator[Finding]:
    """The server answers, and yet cannot hold the cache.

    Args:
        server: Was asked ``INFO`` and ``tried``.
        tried: Commands that the cache sends.
        is_cluster: True if the URL names a cluster.
        is_behind_sentinel: True if the URL names sentinels.
    """
    if server.error is not None:
        return
    if server.info.get("cluster_enabled") == "1" and not is_cluster and not is_behind_sentinel:
        scheme = "rediss+cluster" if server.address.tls else "redis+cluster"
        yield Finding(
            "cluster-behind-plain-url",
            "error",
            "REDIS_URL names a node of a Redis Cluster as if it were a single server",
            "That node refuses all keys of other nodes, so their calls run their functions.",
            f"Begin REDIS_URL with {scheme}:// instead, and keep the rest.",
            (server.where,),
            ConfigurationError("REDIS_URL names a node of a Redis Cluster", variable="REDIS_URL"),
        )
        return
    info = server.replies.get(INFO)
    replies = [server.replies[question] for question in tried if question in server.replies]
    problem = problem_of(info if isinstance(info, bytes) else b"", replies, is_cluster=is_cluster)
    if problem is not None:
        yield _unusable(server, problem, is_cluster=is_cluster, is_one=not (is_cluster or is_behind_sentinel))


def _unusable(server: ServerFacts, problem: CacheError, *, is_cluster: bool, is_one: bool) -> Finding:
    """What keeps a server that answers from holding the cache."""
    address, code = server.address, getattr(problem, "code", "")
    name, found, command = _UNUSABLE.get(code, ("unusable", "", ""))
    text, rights = getattr(problem, "reply", "") or str(problem), getattr(problem, "rights", ())
    if code == "NOPERM" and not rights:
        found = ""  # the reply of a service that names no command
    user = f"the user {address.acl_user.name}"
    found = found.format(where=server.where, user=user, rights=" ".join(rights))
    command = getattr(problem, "grant", "") or command
    mend = cluster_cli(address, "call", command) if is_cluster else redis_cli(address, command)
    mend = mend if command else ""
    if server.info.get("role") == "slave" and code in ("", "READONLY"):
        name, host, port = "replica", server.info.get("master_host", ""), server.number("master_port") or 0
        mend = setting_of(replace(address, host=host, port=port, path="")) if host and is_one else ""
        text = text.removeprefix("READONLY ")
    found = found or f"{server.where}: {text.rstrip('.')}"
    why = "Redis answers, and yet entries cannot be stored or invalidated there."
    return Finding(name, "error", found, why, mend, (server.where,), problem)


def memory(servers: Sequence[ServerFacts], *, is_cluster: bool = False) -> Iterator[Finding]:
    """The limits of their memory, and what they do at the limit.

    Args:
        servers: All that hold entries; those that do not answer are left out.
        is_cluster: True if they are nodes of a cluster, which can be set together.
    """
    answering = [server for server in servers if server.error is None]
    if refusing := [server for server in answering if server.refused(INFO)]:
        yield Finding(
            "not-seen-info",
            "note",
            f"memory, eviction policy and version were not looked at: {refusing[0].refused(INFO)}",
            "A server without a limit, or one that evicts nothing, would not be noticed.",
            "Grant the user of REDIS_URL +info.",
            tuple(server.where for server in refusing),
        )
    if unlimited := [server for server in answering if server.number("maxmemory") == 0]:
        yield _set_all(
            unlimited,
            "maxmemory-unset",
            "maxmemory is not set",
            "Redis takes memory until the system ends it, and nothing is evicted before that.",
            f"CONFIG SET maxmemory {LIMIT}",
            is_cluster=is_cluster,
        )
    if full := [server for server in answering if server.info.get("maxmemory_policy") == "noeviction"]:
        yield _set_all(
            full,
            "eviction-policy",
            "maxmemory-policy is noeviction",
            "When the memory is full, no value is stored any more, and each miss stays one.",
            "CONFIG SET maxmemory-policy allkeys-lru",
            is_cluster=is_cluster,
        )


def _set_all(
    servers: Sequence[ServerFacts], name: str, found: str, why: str, command: str, *, is_cluster: bool
) -> Finding:
    """A setting that is wrong on some servers, with the line that sets it."""
    address = servers[0].address
    mend = cluster_cli(address, "call", command) if is_cluster else redis_cli(address, command)
    where = tuple(server.where for server in servers)
    return Finding(name, "warning", f"{found} on {', '.join(where)}", why, mend, where)
