"""What answers at an address: a working Redis, one with another password, something else, nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from langcache_cli.servers.resp import ForeignReplyError, Link, RefusedError, connected
from langcache_cli.servers.spec import ServerSpec

PROBE_SECONDS: Final = 1.0


class ProbeResult(StrEnum):
    """What was found. Only ANSWERING means that this URL works."""

    ANSWERING = "answering"
    NOTHING = "nothing there"
    WRONG_PASSWORD = "wrong password"  # noqa: S105 - a word for people, not a secret
    NOT_REDIS = "not redis"
    LOADING = "loading"
    BUSY = "busy"
    HANGING = "hanging"


@dataclass(frozen=True, kw_only=True)
class ServerInfo:
    """What a server says about itself. In a container, `pid` and `config_file` are those inside it."""

    version: str
    pid: int
    config_file: str
    uptime_seconds: int
    used_memory_bytes: int
    maxmemory_bytes: int


async def probe(spec: ServerSpec, timeout: float = PROBE_SECONDS) -> ProbeResult:  # noqa: ASYNC109 - part of the answer
    """Knock, authenticate, ping. Takes at most `timeout` seconds and raises nothing.

    BUSY is a Redis that refuses for now (a long script, too many clients, a failing disk). HANGING accepts
    the connection and stays silent, whatever it is. A user who may not PING is in, and counts as ANSWERING.
    """
    try:
        async with asyncio.timeout(timeout), connected(spec) as link:
            return await _ping(link, spec)
    except TimeoutError:
        return ProbeResult.HANGING
    except OSError:
        return ProbeResult.NOTHING


async def server_info(spec: ServerSpec, timeout: float = PROBE_SECONDS) -> ServerInfo | None:  # noqa: ASYNC109
    """Ask an answering server about itself; None if it won't say within `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout), connected(spec) as link:
            await link.authenticate(spec)
            return _parse(await link.call("INFO"))
    except (OSError, RefusedError, ForeignReplyError):
        return None


async def _ping(link: Link, spec: ServerSpec) -> ProbeResult:
    try:
        await link.authenticate(spec)
        reply = await link.call("PING")
    except RefusedError as refusal:
        return _meaning(refusal)
    except ForeignReplyError:
        return ProbeResult.NOT_REDIS
    return ProbeResult.ANSWERING if reply == "PONG" else ProbeResult.NOT_REDIS


def _meaning(refusal: RefusedError) -> ProbeResult:
    if refusal.about_missing_password:
        return ProbeResult.WRONG_PASSWORD
    return {
        "WRONGPASS": ProbeResult.WRONG_PASSWORD,
        "NOAUTH": ProbeResult.WRONG_PASSWORD,
        "NOPERM": ProbeResult.ANSWERING,
        "LOADING": ProbeResult.LOADING,
    }.get(refusal.code, ProbeResult.BUSY)


def _parse(info: str) -> ServerInfo:
    facts = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)

    def number(name: str) -> int:
        text = facts.get(name, "")
        return int(text) if text.isascii() and text.isdigit() else 0

    return ServerInfo(
        version=facts.get("valkey_version") or facts.get("redis_version", "unknown"),
        pid=number("process_id"),
        config_file=facts.get("config_file", ""),
        uptime_seconds=number("uptime_in_seconds"),
        used_memory_bytes=number("used_memory"),
        maxmemory_bytes=number("maxmemory"),
    )
