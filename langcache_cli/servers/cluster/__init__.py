"""Start, find and stop a small Redis Cluster on this machine, to try an application against.

As for one server, nothing here prints, and no password is in an argument, a `repr`, an error or a file.
"""

from __future__ import annotations

from langcache_cli.servers.cluster.lifecycle import restart, start, status, stop
from langcache_cli.servers.cluster.reports import ClusterStartReport, ClusterStatusReport, ClusterStopReport
from langcache_cli.servers.cluster.shape import ClusterShape, find, located

__all__ = [
    "ClusterShape",
    "ClusterStartReport",
    "ClusterStatusReport",
    "ClusterStopReport",
    "find",
    "located",
    "restart",
    "start",
    "status",
    "stop",
]
