"""A plain redis-py client, for what a backend wants to do with Redis besides caching."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from langcache_cli.caching._config.settings import CacheSettings

if TYPE_CHECKING:
    from redis.asyncio import Redis

CONNECT_TIMEOUT_SECONDS = 5.0


def new_client(settings: CacheSettings) -> Redis:
    """A client for the configured Redis, in redis-py's own defaults but for a bounded connect."""
    from redis.asyncio import Redis  # noqa: PLC0415 - the cache itself does without; it takes 100 ms to import

    return Redis.from_url(
        settings.redis_url.get_secret_value(), socket_connect_timeout=CONNECT_TIMEOUT_SECONDS
    )


async def close_client(client: Redis) -> None:
    """Close the client and the connections it pooled."""
    await client.aclose()
    await client.connection_pool.disconnect()


def abandon_client(client: Redis) -> None:
    """Close the sockets of a client whose event loop has closed: redis-py itself needs the loop for that."""
    pool = client.connection_pool
    idle, used = getattr(pool, "_available_connections", ()), getattr(pool, "_in_use_connections", ())
    for connection in (*idle, *used):
        writer, connection._writer, connection._reader = connection._writer, None, None  # noqa: SLF001
        if isinstance(writer, asyncio.StreamWriter):
            close_socket(writer.transport)


def close_socket(transport: asyncio.BaseTransport) -> None:
    """Close the file of a connection whose loop is gone; its transport can no longer do it."""
    inner = getattr(transport, "_sock", None)
    if inner is not None:
        inner.close()
        # or the finalisers of the transport and of its writer warn about what has just been done
        transport._sock = None  # type: ignore[attr-defined]  # noqa: SLF001
        transport._closing = True  # type: ignore[attr-defined]  # noqa: SLF001
