"""Findings about the state of servers that answer: what works now, and may not for long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from langcache_cli.caching import CacheError
from langcache_cli.operations.diagnosis.finding import Finding
from langcache_cli.operations.diagnosis.redis_cli import redis_cli
from langcache_cli.operations.diagnosis.server_facts import ServerFacts
from langcache_cli.readable import number_of, size

TIME: Final = ("TIME",)
"""A question for `clock`."""

OLDEST: Final = (6, 2)
NEARLY_FULL: Final = 0.9
"""Of ``maxmemory``, and of ``maxclients``."""

MAX_SKEW_SECONDS: Final = 2.0
MEBIBYTE: Final = 2**20
MINUTE, HOUR, DAY = 60, 3600, 86400


def state(servers: Sequence[ServerFacts]) -> Iterator[Finding]:
    """Everything of this module about servers that hold entries; those that do not answer are left out."""
    for server in servers:
        if server.error is None:
            yield from version(server)
            yield from clients(server)
            yield from persistence(server)
            yield from full(server)
            yield from clock(server)


def version(server: ServerFacts) -> Iterator[Finding]:
    """The server is older than those that langcache is tested with."""
    if () < server.version < OLDEST:
        yield Finding(
            "version-old",
            "warning",
            f"{server.where} is Redis {server.info['redis_version']}, older than 6.2",
            "langcache is tested with Redis 6.2 and later; older ones lack commands that it uses.",
            "Upgrade that server to Redis 6.2 or later, or to Valkey.",
            (server.where,),
        )


def clients(server: ServerFacts) -> Iterator[Finding]:
    """Nearly as many clients are connected as the server takes."""
    connected, limit = server.number("connected_clients"), server.number("maxclients")
    if connected and limit and connected >= NEARLY_FULL * limit:
        yield Finding(
            "clients-near-limit",
            "warning",
            f"{connected:,} clients are connected to {server.where}, which takes {limit:,}",
            "At the limit new connections are refused, and processes that start run without the cache.",
            redis_cli(server.address, f"CONFIG SET maxclients {2 * limit}"),
            (server.where,),
        )


def persistence(server: ServerFacts) -> Iterator[Finding]:
    """The server cannot write to its disk, and goes on."""
    info = server.info
    if info.get("rdb_last_bgsave_status") == "err":
        yield _not_saved(server, "snapshot-failed", "the last snapshot (RDB)", "BGSAVE")
    if info.get("aof_last_write_status") == "err":
        yield _not_saved(
            server, "append-failed", "the last write to the append-only file", "CONFIG SET appendonly no"
        )
    if info.get("aof_last_bgrewrite_status") == "err":
        yield _not_saved(server, "rewrite-failed", "the last rewrite of the append-only file", "BGREWRITEAOF")


def _not_saved(server: ServerFacts, name: str, what: str, command: str) -> Finding:
    return Finding(
        name,
        "warning",
        f"{what} of {server.where} failed",
        "A restart loses entries and counters; Redis may refuse to store values until it can write again.",
        f"Make room on its disk (its log says what is wrong), then: {redis_cli(server.address, command)}",
        (server.where,),
    )


def full(server: ServerFacts) -> Iterator[Finding]:
    """The memory is nearly used up, or keys are evicted."""
    used, limit = server.number("used_memory") or 0, server.number("maxmemory") or 0
    more = redis_cli(server.address, more_memory(limit))
    yield from full_memory(
        used,
        limit,
        policy=server.info.get("maxmemory_policy", ""),
        evicted=server.number("evicted_keys") or 0,
        mend=more,
        where=(server.where,),
    )


def full_memory(
    used: int, limit: int, *, policy: str, evicted: int, mend: str = "", where: tuple[str, ...] = ()
) -> Iterator[Finding]:
    """The memory is nearly used up: keys are evicted, or soon will be.

    Args:
        used: Bytes in use.
        limit: ``maxmemory`` in bytes; 0 for no limit.
        policy: ``maxmemory-policy``.
        evicted: Keys that were evicted since the server was started.
        mend: What gives it more memory.
        where: The servers.
    """
    if not limit or used < NEARLY_FULL * limit:
        return
    sizes = f"{size(used)} of {size(limit)}"
    share = f"{100 * used / limit:.0f} % of the memory is used ({sizes})"
    if evicted:
        why = (
            "Entries are removed before their TTL ends, and so are the counters: "
            "hit rates fall, and numbers of the last days are too low."
        )
        yield Finding(
            "evictions",
            "warning",
            f"{share}; {number_of(evicted, 'key was', 'keys were')} evicted",
            why,
            mend,
            where,
        )
        return
    at_limit = "nothing more is stored" if policy == "noeviction" else f"keys are evicted ({policy})"
    yield Finding("memory-nearly-full", "warning", share, f"At the limit {at_limit}.", mend, where)


def more_memory(limit: int) -> str:
    """The command that gives a server twice its memory."""
    return f"CONFIG SET maxmemory {-(-2 * limit // MEBIBYTE)}mb"


def unusable(problem: CacheError) -> Finding:
    """Redis answers, and yet cannot hold the cache; `findings.unusable` says it of one server."""
    if problem.lost_nodes:
        names, cause = " and ".join(problem.lost_nodes), problem.__cause__ or problem
        return Finding(
            "nodes-lost",
            "error",
            f"{names} of the cluster cannot be used",
            f"Calls for keys there run their functions; the other nodes go on. {cause}",
            "Start that node again, or let a replica take over.",
            problem.lost_nodes,
            error=problem,
        )
    return Finding("unusable", "error", "Redis cannot hold the cache", str(problem), error=problem)


def restarted(uptime_seconds: int) -> Finding:
    """Redis was started not long ago, and has lost what it held."""
    return Finding(
        "restarted",
        "note",
        f"Redis was started {uptime_seconds // MINUTE or '<1'} min ago",
        "Numbers from before, if there were any, are lost, and so are the entries.",
        "langcache redis status",
    )


def clock(server: ServerFacts) -> Iterator[Finding]:
    """The clocks of this machine and of the server differ."""
    ahead = ahead_seconds(server)
    if abs(ahead) > MAX_SKEW_SECONDS:
        which = "ahead of" if ahead > 0 else "behind"
        yield Finding(
            "clock-skew",
            "warning",
            f"the clock of {server.where} is {_duration(abs(ahead))} {which} that of this machine",
            "Entries are refreshed too early or too late by that, and calls are counted in other minutes.",
            "Type on both machines: timedatectl set-ntp true",
            (server.where,),
        )


def ahead_seconds(server: ServerFacts) -> float:
    """How far the clock of a server is ahead of that of this machine at least; negative if it is behind."""
    reply = server.replies.get(TIME)
    if server.asked is None or not isinstance(reply, list):
        return 0.0
    seconds, micros = (int(part) for part in reply)
    moment, (sent, answered) = seconds + micros / 1e6, server.asked
    return min(moment - sent, 0.0) + max(moment - answered, 0.0)


def _duration(seconds: float) -> str:
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.1f} s"
