"""The near cache for what holds the cache: one server, or a cluster."""

from __future__ import annotations

from langcache_cli.caching._config.settings import CacheSettings
from langcache_cli.caching._deployment.cluster.cluster import Cluster
from langcache_cli.caching._deployment.one_server import OneServer
from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._near.cluster import ClusterNear
from langcache_cli.caching._near.memory import NearMemory
from langcache_cli.caching._near.one_server import OneServerNear
from langcache_cli.caching._near.tracking import NearCache


def new_near_cache(server: Server, settings: CacheSettings) -> NearCache | None:
    """A near cache for the running event loop; None if the settings give it no memory.

    It follows what is connected already; `NearCache.start_tracking` must be called for each new connection.
    """
    if not settings.near_cache_bytes:
        return None
    memory = NearMemory(settings.near_cache_bytes)
    if isinstance(server, Cluster):
        near: NearCache = ClusterNear(memory, settings.namespace, server.router)
        connections = [node.node.connection for node in server.topology.nodes]
    elif isinstance(server, OneServer):
        near, connections = OneServerNear(memory, settings.namespace), [server.node.connection]
    else:
        return None
    for connection in connections:
        if connection is not None:
            near.start_tracking(connection)
    return near
