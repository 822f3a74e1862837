"""The server that a URL names: one, or a cluster."""

from __future__ import annotations

from collections.abc import Callable

from langcache_cli.caching._deployment.cluster.cluster import Cluster
from langcache_cli.caching._deployment.one_server import OneServer
from langcache_cli.caching._deployment.route import Route
from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.outage_log import OutageLog


def new_server(
    route: Route,
    *,
    timeout: float,
    on_connect: Callable[[BatchedConnection], object] | None = None,
    on_moved: Callable[[frozenset[int]], object] = lambda _: None,
    outages: OutageLog | None = None,
) -> Server:
    """A server for the running event loop.

    Args:
        route: Opens the connections.
        timeout: Seconds that a command may take when its caller passes no budget.
        on_connect: Called with each new connection before anything is sent over it.
        on_moved: Called with the slots of a cluster that have got another owner; see `Cluster`.
        outages: Logs when the server is lost and back; None logs nothing.
    """
    if route.is_cluster:
        return Cluster(
            route.target,
            timeout=timeout,
            connect=route.connect,
            on_connect=on_connect,
            on_moved=on_moved,
            outages=outages,
        )
    return OneServer(
        route.target.server, timeout=timeout, connect=route.connect, on_connect=on_connect, outages=outages
    )
