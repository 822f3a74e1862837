"""Whether a port speaks TLS: asked if REDIS_URL, which says so or not, does not lead to an answer."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import replace

from langcache_cli.caching.tooling import ConnectionLostError, RedisAddress
from langcache_cli.operations.diagnosis.server_facts import ServerFacts

_LEFT_ALONE = (ConnectionRefusedError, ssl.SSLCertVerificationError)
"""These are not about TLS or its absence."""


async def with_protocol(server: ServerFacts, *, within: float) -> ServerFacts:
    """The facts, with ``speaks_tls`` if the port speaks the other protocol than that of the URL.

    Args:
        server: Was asked, and is left as it is if it answered.
        within: Seconds.
    """
    address, cause = server.address, server.error.__cause__ if server.error else None
    if address.path or within <= 0 or not _may_be_other(cause):
        return server
    is_other = False
    with suppress(OSError):  # TimeoutError is one
        async with asyncio.timeout(within):
            is_other = await (_answers_plainly(address) if address.tls else _shakes_hands(address))
    return replace(server, speaks_tls=not address.tls) if is_other else server


def _may_be_other(cause: BaseException | None) -> bool:
    """True for an error that the wrong protocol may end in."""
    if isinstance(cause, _LEFT_ALONE):
        return False
    return isinstance(cause, TimeoutError | ssl.SSLError | ConnectionLostError | ConnectionResetError)


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
