"""A second look at a server that ended the connection or did not answer: what does that port speak?"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import replace
from typing import Final

from langcache_cli.caching import ServerReplyError
from langcache_cli.caching.tooling import ConnectionLostError, NotRedisError, RedisAddress, unavailable
from langcache_cli.operations.diagnosis.server_facts import ServerFacts

GREETING_SECONDS: Final = 0.2
"""A server that takes no client says so before it is asked anything."""
_LONGEST_GREETING: Final = 1000


async def second_look(server: ServerFacts, *, within: float) -> ServerFacts:
    """The facts, with what was found out: ``speaks_tls``, or an error that says more.

    Args:
        server: Was asked, and is left as it is if it answered.
        within: Seconds.
    """
    address, cause = server.address, server.error.__cause__ if server.error else None
    if address.path or within <= 0 or not _may_be_other(cause):
        return server
    with suppress(OSError):  # TimeoutError is one
        async with asyncio.timeout(within):
            if not address.tls and (greeting := await _greeting(address)):
                refusal = ServerReplyError(greeting)
                error = unavailable(refusal, address)
                error.__cause__ = refusal
                return replace(server, error=error)
            if await (_answers_plainly(address) if address.tls else _shakes_hands(address)):
                return replace(server, speaks_tls=not address.tls)
    return server


def _may_be_other(cause: BaseException | None) -> bool:
    """True for an error that the wrong protocol may end in."""
    if isinstance(cause, ssl.SSLCertVerificationError | NotRedisError):
        return False
    return isinstance(cause, TimeoutError | ssl.SSLError | ConnectionLostError | ConnectionResetError)


async def _greeting(address: RedisAddress) -> str:
    """The error that a server sends before it closes the connection; what we send could push it out."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        async with asyncio.timeout(GREETING_SECONDS):
            line = await reader.readline()
    except TimeoutError:
        return ""
    finally:
        writer.transport.abort()
    return line[1:_LONGEST_GREETING].decode("utf-8", "replace").strip() if line.startswith(b"-") else ""


async def _answers_plainly(address: RedisAddress) -> bool:
    """True if a line without TLS gets a reply of Redis."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(b"PING\r\n")
        return await reader.read(1) in (b"+", b"-")
    finally:
        writer.transport.abort()


async def _shakes_hands(address: RedisAddress) -> bool:
    """True if a TLS handshake succeeds; the certificate is not looked at, and nothing is sent."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    writer.transport.abort()
    return True
