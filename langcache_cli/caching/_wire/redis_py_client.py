"""A redis-py client for what an application does with Redis besides caching."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from langcache_cli.caching._config.settings import CacheSettings
from langcache_cli.caching._wire.connection import close_socket

if TYPE_CHECKING:
    from redis.asyncio import Redis

CONNECT_TIMEOUT_SECONDS = 5.0


def new_client(settings: CacheSettings) -> Redis:
    """A client for the configured Redis with redis-py's own defaults, except for a bounded connect."""
    from redis.asyncio import Redis  # noqa: PLC0415 - takes 100 ms to import, and the cache does without

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
