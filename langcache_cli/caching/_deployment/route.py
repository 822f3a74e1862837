"""How the connections of one event loop find the server that ``REDIS_URL`` leads to."""

from __future__ import annotations

import asyncio

from langcache_cli.caching._config.redis_target import RedisTarget
from langcache_cli.caching._deployment.sentinel.sentinels import Sentinels
from langcache_cli.caching._wire.externals import Connect, Externals


class Route:
    """The `Connect` of all nodes of one event loop."""

    def __init__(
        self, target: RedisTarget, externals: Externals, *, timeout: float, watched: bool = True
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            target: What ``REDIS_URL`` names.
            externals: Opens the connections.
            timeout: Seconds that a command may take.
            watched: False to not notice failovers, for connections that are dropped at once after use.
        """
        self.target = target
        self.is_cluster = target.kind == "cluster" and not externals.in_memory
        """True if the connections lead to the nodes of a cluster."""
        self.connect: Connect = externals.connect
        """Opens a connection to the server itself, or to the present primary of a service."""
        self._sentinels: Sentinels | None = None
        if target.kind == "sentinel" and not externals.in_memory:
            self._sentinels = Sentinels(target, externals.connect, timeout=timeout, watched=watched)
            self.connect = self._sentinels.connect

    def abandon(self) -> list[asyncio.Task[None]]:
        """Drop what belongs to the route itself. Works after the loop has closed, too.

        Returns:
            Tasks under way, which should be cancelled if the loop still runs.
        """
        return self._sentinels.abandon() if self._sentinels is not None else []
