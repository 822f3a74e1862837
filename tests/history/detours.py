"""Connections that lead through proxies, although the servers name their own ports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._wire.externals import Connect, Connection
from langcache_cli.caching._wire.handshake import connect


def detoured(proxies: Mapping[int, int]) -> Connect:
    """Connects as the cache does, but to the proxy of each server that has one; ports by port."""

    async def connected(address: RedisAddress) -> Connection:
        return await connect(replace(address, port=proxies.get(address.port, address.port)))

    return connected
