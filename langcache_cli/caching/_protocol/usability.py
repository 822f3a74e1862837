"""Whether a server that answers can hold a cache: a replica, a node of a cluster or a full one cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from langcache_cli.caching._errors import (
    CacheError,
    ConfigurationError,
    ServerReplyError,
)
from langcache_cli.caching._wire.server_identity import fields_of

_TRIED: Final = (
    ("SET", "{key}", "", "XX"),
    ("GET", "{key}"),
    ("GETRANGE", "{key}", "0", "0"),
    ("SETRANGE", "{key}", "0", ""),
    ("EXISTS", "{key}"),
    ("PTTL", "{key}"),
    ("PEXPIRE", "{key}", "1"),
    ("UNLINK", "{key}"),
    ("SCAN", "0", "COUNT", "1"),
    ("TIME",),
    ("EVAL", "return 1", "1", "{key}"),
    ("EVALSHA", 40 * "0", "1", "{key}"),
    ("GET", "{tag}"),
    ("HINCRBY", "{stats}", "absent", "nothing"),
    ("EXPIRE", "{stats}", "1"),
    ("HGETALL", "{stats}"),
    ("HMGET", "{stats}", "absent"),
)
"""Commands of the cache, on absent keys, or with a wrong argument: none of them changes anything."""

_TRIED_OF_ONE: Final = (("MGET", "{key}"),)
_TRIED_OF_NODES: Final = (
    ("CLUSTER", "SLOTS"),
    ("CLUSTER", "NODES"),
    ("CLUSTER", "MYID"),
    ("CLUSTER", "INFO"),
    ("ROLE",),
    ("ASKING",),  # holds for the next command alone
    ("EXISTS", "{key}"),
)

FULL: Final = 0.99
"""Of maxmemory; what is left is less than the buffers of some clients."""

_HARMLESS: Final = frozenset({"NOSCRIPT", "ERR", "MOVED", "ASK"})
"""Error replies to these that say nothing about rights or the state of the server."""


def trial(namespace: str, *, is_cluster: bool) -> list[tuple[str, ...]]:
    """Commands that find out whether the cache could work, and write nothing."""
    names = {
        "key": f"{namespace}:langcache_check:absent",
        "tag": f"{namespace}@tag:absent",
        "stats": f"{namespace}@stats:absent",
    }
    tried = (*_TRIED, *(_TRIED_OF_NODES if is_cluster else _TRIED_OF_ONE))
    return [tuple(word.format(**names) for word in command) for command in tried]


def problem_of(info: bytes, replies: Sequence[Any], *, is_cluster: bool = False) -> CacheError | None:
    """What keeps a server from holding a cache, with what to do about it; None for nothing.

    Args:
        info: The reply to ``INFO``.
        replies: Those to `trial`.
        is_cluster: True if the URL names a cluster.
    """
    facts = fields_of(info)
    refused = _refusal(replies)
    if facts.get("cluster_enabled") == "1" and not is_cluster:
        return ConfigurationError(
            "REDIS_URL names a node of a Redis Cluster; write redis+cluster:// (with TLS rediss+cluster://)",
            variable="REDIS_URL",
        )
    if facts.get("role") != "slave":
        return refused or _full(facts)
    message = (
        "REDIS_URL names a replica; set it to its primary, "
        f"{facts.get('master_host')}:{facts.get('master_port')}"
    )
    if refused is not None and refused.code == "READONLY":
        return ServerReplyError(f"READONLY {message}")
    return ConfigurationError(message, variable="REDIS_URL")


def _full(facts: Mapping[str, str]) -> CacheError | None:
    """A server that evicts nothing and has no room: between two clients it may take one more value."""
    used, limit = (int(facts.get(name, 0)) for name in ("used_memory", "maxmemory"))
    if facts.get("maxmemory_policy") != "noeviction" or not limit or used < FULL * limit:
        return None
    return ServerReplyError(f"OOM {used:,} of {limit:,} bytes are used, and maxmemory-policy is noeviction")


def _refusal(replies: Sequence[Any]) -> ServerReplyError | None:
    """The first reply that says no; one about a right names all rights that are missing."""
    refusals: list[ServerReplyError] = [*filter(_says_no, replies)]
    for refusal in refusals[:1]:
        refusal.rights = tuple(dict.fromkeys(right for one in refusals for right in one.rights))
    return refusals[0] if refusals else None


def _says_no(reply: Any) -> bool:
    return isinstance(reply, ServerReplyError) and reply.code not in _HARMLESS
