"""The server that a URL names: one, or a cluster."""

from __future__ import annotations

from collections.abc import Callable

from langcache_cli.caching._config.settings import CacheSettings
from langcache_cli.caching._deployment.one_server import OneServer
from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.externals import Connect
from langcache_cli.caching._wire.handshake import connect
from langcache_cli.caching._wire.outage_log import OutageLog


def new_server(
    settings: CacheSettings,
    *,
    timeout: float,
    connect: Connect = connect,
    on_connect: Callable[[BatchedConnection], object] | None = None,
    outages: OutageLog | None = None,
) -> Server:
    """A server for the running event loop; see `Node` for the arguments."""
    return OneServer(
        settings.address, timeout=timeout, connect=connect, on_connect=on_connect, outages=outages
    )
