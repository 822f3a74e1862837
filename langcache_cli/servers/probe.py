"""Find out what answers at an address: a usable Redis, one with another password, something else, nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from langcache_cli.servers.spec import ServerSpec

if TYPE_CHECKING:
    from langcache_cli.caching import ServerReplyError
    from langcache_cli.caching.tooling import RedisAddress, RedisConnection

# The caching core is imported inside the functions: importing this package must not load pydantic.

PROBE_SECONDS: Final = 1.0
STARVED_FACTOR: Final = 5
LATE_SECONDS: Final = 0.05
"""A timer that is so late shows that the process was not running."""

_RETRY_SECONDS: Final = 0.03


class ProbeResult(StrEnum):
    """What was found. Only ANSWERING means that the address, user and password work."""

    ANSWERING = "answering"
    NOTHING = "nothing there"
    WRONG_PASSWORD = "wrong password"  # noqa: S105 - text for people, not a secret
    NO_PASSWORD = "no password set"  # noqa: S105 - as above
    NO_DATABASE = "no such database"
    NOT_REDIS = "not redis"
    LOADING = "loading"
    BUSY = "busy"
    HANGING = "hanging"


UNSETTLED: Final = frozenset({ProbeResult.LOADING, ProbeResult.BUSY})
"""A Redis that may answer soon."""


@dataclass(frozen=True, kw_only=True)
class ServerInfo:
    """Facts from the INFO command. For a container, `pid` and `config_file` are those inside it."""

    product: str
    version: str
    pid: int
    config_file: str
    uptime_seconds: int
    used_memory_bytes: int
    maxmemory_bytes: int


async def probe(spec: ServerSpec, timeout: float = PROBE_SECONDS) -> ProbeResult:  # noqa: ASYNC109 - part of the answer
    """Connect, authenticate and ping. Takes about `timeout` seconds at most and raises nothing.

    BUSY is a Redis that refuses for now (a long script, too many clients, a failing disk). HANGING accepts
    the connection and does not reply. A user without the right to PING counts as ANSWERING. Where this
    process got no processor time, which makes all servers look hung, it is tried once more with more time.
    """
    result, was_starved = await _probe(spec, timeout)
    return (await _probe(spec, STARVED_FACTOR * timeout))[0] if was_starved else result


async def _probe(spec: ServerSpec, seconds: float) -> tuple[ProbeResult, bool]:
    """What was found, and whether a time-out says nothing about the server."""
    from langcache_cli.caching.tooling import RedisConnection  # noqa: PLC0415 - see above

    loop = asyncio.get_running_loop()
    ends, is_connected = loop.time() + seconds, False
    try:
        async with asyncio.timeout_at(ends):
            _, connection = await loop.create_connection(RedisConnection, spec.host, spec.port)
            is_connected = True
            try:
                return await _greet(connection, spec), False
            finally:
                connection.abort()
    except TimeoutError:  # on one machine a connection is accepted or refused at once
        return ProbeResult.HANGING, not is_connected or loop.time() - ends > LATE_SECONDS
    except OSError:
        return ProbeResult.NOTHING, False


async def probes(spec: ServerSpec, seconds: float) -> AsyncIterator[ProbeResult]:
    """At least one probe, then more until `seconds` are over."""
    deadline = time.monotonic() + seconds
    while True:
        yield await probe(spec)
        if time.monotonic() >= deadline:
            return
        await asyncio.sleep(_RETRY_SECONDS)


async def settled(spec: ServerSpec, seconds: float) -> ProbeResult:
    """What answers now; a Redis that is loading or busy gets `seconds` to finish."""
    result = ProbeResult.NOTHING
    async for result in probes(spec, seconds):
        if result not in UNSETTLED:
            break
    return result


async def server_info(spec: ServerSpec, timeout: float = PROBE_SECONDS) -> ServerInfo | None:  # noqa: ASYNC109
    """The INFO of an answering server; None if it refuses or takes longer than `timeout` seconds."""
    from langcache_cli.caching import ServerReplyError  # noqa: PLC0415 - see above
    from langcache_cli.caching.tooling import ask, connect  # noqa: PLC0415 - see above

    try:
        async with asyncio.timeout(timeout):
            connection = await connect(spec.address)
            try:
                (info,) = await ask(connection, [("INFO",)])
            finally:
                connection.abort()
    except (OSError, ServerReplyError):
        return None
    return parse_info(info.decode(errors="replace")) if isinstance(info, bytes) else None


async def _greet(connection: RedisConnection, spec: ServerSpec) -> ProbeResult:
    # One command at a time, unlike `connect`: a Redis at its client limit replies to the first command and
    # closes, which `connect` reports as a lost connection.
    from langcache_cli.caching import ServerReplyError  # noqa: PLC0415 - see above
    from langcache_cli.caching.tooling import ask  # noqa: PLC0415 - see above

    commands: list[tuple[str, ...]] = [("PING",)]
    if spec.db:
        commands.append(("SELECT", str(spec.db)))
    if spec.password:
        user = (spec.username,) if spec.username else ()
        commands.insert(0, ("AUTH", *user, spec.password))
    for command in commands:
        try:
            (reply,) = await ask(connection, [command])
        except ConnectionError:
            return ProbeResult.NOT_REDIS
        if isinstance(reply, ServerReplyError):
            return meaning(reply)
        if reply != (b"PONG" if command == ("PING",) else b"OK"):
            return ProbeResult.NOT_REDIS
    return ProbeResult.ANSWERING


def meaning(refusal: ServerReplyError) -> ProbeResult:
    """What a refused greeting says about the server."""
    text = str(refusal)
    if "without any password" in text or "no password is set" in text:
        return ProbeResult.NO_PASSWORD  # and one was sent
    if "DB index" in text:
        return ProbeResult.NO_DATABASE
    return {
        "WRONGPASS": ProbeResult.WRONG_PASSWORD,
        "NOAUTH": ProbeResult.WRONG_PASSWORD,
        "NOPERM": ProbeResult.ANSWERING,
        "LOADING": ProbeResult.LOADING,
    }.get(refusal.code, ProbeResult.BUSY)


def parse_info(info: str) -> ServerInfo:
    """Read the reply of INFO; what is missing is 0 or empty."""
    facts = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)

    def number(name: str) -> int:
        text = facts.get(name, "")
        return int(text) if text.isascii() and text.isdigit() else 0

    return ServerInfo(
        product="Valkey" if "valkey_version" in facts else "Redis",
        version=facts.get("valkey_version") or facts.get("redis_version", "unknown"),
        pid=number("process_id"),
        config_file=facts.get("config_file", ""),
        uptime_seconds=number("uptime_in_seconds"),
        used_memory_bytes=number("used_memory"),
        maxmemory_bytes=number("maxmemory"),
    )


async def look_elsewhere(address: RedisAddress) -> tuple[ProbeResult, ServerInfo | None]:
    """Look at a server that langcache could not start: over TLS, a unix socket, or on another machine.

    Raises:
        CacheUnavailableError: What is there does not fit the URL, such as its options of TLS, or the
            host has no address.
    """
    from langcache_cli.caching import ServerReplyError  # noqa: PLC0415 - see above
    from langcache_cli.caching.tooling import (  # noqa: PLC0415 - see above
        ConnectionLostError,
        NotRedisError,
        TlsFileError,
        ask,
        connect,
        unavailable,
    )

    try:
        async with asyncio.timeout(PROBE_SECONDS):
            connection = await connect(address)
            try:
                (info,) = await ask(connection, [("INFO",)])
            finally:
                connection.abort()
    except TimeoutError:
        return ProbeResult.HANGING, None
    except NotRedisError:
        return ProbeResult.NOT_REDIS, None
    except ServerReplyError as refusal:
        return meaning(refusal), None
    except (ssl.SSLError, TlsFileError, socket.gaierror, ConnectionLostError, ConnectionResetError) as error:
        raise unavailable(error, address) from error
    except OSError:
        return ProbeResult.NOTHING, None
    facts = parse_info(info.decode(errors="replace")) if isinstance(info, bytes) else None
    return ProbeResult.ANSWERING, facts
