"""A redis-py client for what an application does with Redis besides caching."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._config.redis_target import RedisTarget
from langcache_cli.caching._config.settings import CacheSettings
from langcache_cli.caching._wire.connection import close_socket

if TYPE_CHECKING:
    from redis.asyncio import Redis

CONNECT_TIMEOUT_SECONDS = 5.0


class LoopClient:
    """The client of one event loop, made when it is first asked for."""

    def __init__(self, settings: CacheSettings, *, asks: bool) -> None:
        """Nothing is made yet.

        Args:
            settings: Where Redis is.
            asks: False if `answering` asks nobody, as beside a cache in memory.
        """
        self._settings = settings
        self._asks = asks and settings.redis_enabled
        self._client: Redis | None = None
        self._has_answered = False

    def get(self) -> Redis:
        """The client; it connects at its first command."""
        if self._client is None:
            self._client = new_client(self._settings)
        return self._client

    async def answering(self) -> Redis:
        """The client, once Redis has answered it.

        Raises:
            redis.exceptions.RedisError: Redis did not answer. The next call asks again.
        """
        client = self.get()
        if self._asks and not self._has_answered:
            await _ping(client)
            self._has_answered = True
        return client

    def leave_to_parent(self) -> None:
        """In the child of a fork, make another one."""
        self._client, self._has_answered = None, False

    def abandon(self) -> None:
        """Close the sockets, after the event loop has closed."""
        if self._client is not None:
            abandon_client(self._client)

    async def aclose(self) -> None:
        """Close the client."""
        if self._client is not None:
            await close_client(self._client)


async def _ping(client: Redis) -> None:
    from redis import exceptions  # noqa: PLC0415 - as below

    ping: Any = client.ping
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            await ping()
    except TimeoutError as error:
        message = f"Redis did not answer within {CONNECT_TIMEOUT_SECONDS:g} seconds"
        raise exceptions.TimeoutError(message) from error
    except exceptions.RedisClusterException as error:  # which is no RedisError
        raise exceptions.ConnectionError(str(error)) from error


def new_client(settings: CacheSettings) -> Redis:
    """A client for the configured Redis with redis-py's own defaults, except for a bounded connect.

    Returns:
        A `Redis`; behind Sentinel one that asks the sentinels for the primary before it connects. For a
        cluster a `RedisCluster`, which has the methods of a `Redis`.
    """
    from redis.asyncio import Redis  # noqa: PLC0415 - takes 100 ms to import, and the cache does without

    target = settings.target
    if target.kind == "cluster":
        return _cluster_client(target)
    if target.kind == "sentinel":
        return _sentinel_client(target)
    return Redis.from_url(
        settings.redis_url.get_secret_value(), socket_connect_timeout=CONNECT_TIMEOUT_SECONDS
    )


async def close_client(client: Redis) -> None:
    """Close the client and the connections it pooled."""
    await client.aclose()
    if _is_cluster(client):
        return
    for one in _with_sentinels(client):
        await one.aclose()
        await one.connection_pool.disconnect()


def abandon_client(client: Redis) -> None:
    """Close the sockets of a client whose event loop has closed: redis-py itself needs the loop for that."""
    for connection in _connections(client):
        writer, connection._writer, connection._reader = connection._writer, None, None  # noqa: SLF001
        if isinstance(writer, asyncio.StreamWriter):
            close_socket(writer.transport)
    if _is_cluster(client):
        cast("Any", client)._initialize = True  # noqa: SLF001 - or its finaliser warns of an unclosed client


def _cluster_client(target: RedisTarget) -> Redis:
    from redis.asyncio.cluster import ClusterNode, RedisCluster  # noqa: PLC0415 - as above

    arguments = _arguments(target.server)
    nodes = [ClusterNode(host, port) for host, port in target.hosts]
    client = RedisCluster(startup_nodes=nodes, **arguments)
    return cast("Redis", client)


def _sentinel_client(target: RedisTarget) -> Redis:
    from redis.asyncio import sentinel  # noqa: PLC0415 - as above

    new_sentinels: Callable[..., Any] = sentinel.Sentinel  # redis-py annotates no arguments of it
    sentinels = new_sentinels(
        list(target.hosts),
        sentinel_kwargs=_arguments(target.sentinels[0]),
        **_arguments(target.server),
        db=target.server.db,
    )
    client: Redis = sentinels.master_for(target.service)
    return client


def _arguments(address: RedisAddress) -> dict[str, Any]:
    """Login, TLS and options as redis-py's classes take them; it reads the options as those of a URL."""
    from redis.asyncio.connection import parse_url  # noqa: PLC0415 - as above

    options: dict[str, Any] = dict(parse_url(f"redis://?{urlencode(address.options)}"))
    tls = {"ssl": True} if address.tls else {}
    login = {"username": address.username, "password": address.password}
    return {"socket_connect_timeout": CONNECT_TIMEOUT_SECONDS, **options, **tls, **login}


def _is_cluster(client: Any) -> bool:
    return hasattr(client, "nodes_manager")


def _with_sentinels(client: Redis) -> list[Redis]:
    """The client, and the clients by which it asks the sentinels, if there are any."""
    manager = getattr(client.connection_pool, "sentinel_manager", None)
    return [client, *(manager.sentinels if manager is not None else ())]


def _connections(client: Any) -> Iterator[Any]:
    if _is_cluster(client):
        manager = client.nodes_manager
        # not a set: two nodes of one name are equal, and each has connections of its own
        for node in (*manager.nodes_cache.values(), *manager.startup_nodes.values()):
            yield from node._connections  # noqa: SLF001 - there is no public way to them
        return
    for one in _with_sentinels(client):
        pool = one.connection_pool
        for name in ("_available_connections", "_in_use_connections"):
            yield from tuple(getattr(pool, name, ()))
