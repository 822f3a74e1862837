"""What all processes know of each other, from one event loop: counters, events, hot keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from langcache_cli.caching._config.settings import CacheSettings
from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._statistics.fleet.event_log import EventLog
from langcache_cli.caching._statistics.fleet.eviction_guard import EvictionGuard
from langcache_cli.caching._statistics.fleet.hot_keys import HotKeys
from langcache_cli.caching._statistics.fleet.reader import FleetReader
from langcache_cli.caching._statistics.fleet.writer import FleetWriter


class Fleet:
    """The fleet's statistics in Redis."""

    def __init__(
        self,
        server: Server,
        bulk_server: Server,
        settings: CacheSettings,
        *,
        now_ms: Callable[[], int],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        """Prepare; nothing is read or written yet.

        Args:
            server: Where they are.
            bulk_server: The same, with time for many numbers.
            settings: Of the cache.
            now_ms: The time, in milliseconds since 1970.
            spawn: Runs a coroutine as a background task.
        """
        namespace = settings.namespace
        self.reader = FleetReader(bulk_server, namespace, now_ms=now_ms)
        self.writer = FleetWriter(bulk_server, namespace, now_ms=now_ms)
        self.eviction_guard = EvictionGuard(bulk_server, namespace, now_ms=now_ms)
        self.events = EventLog(server, namespace, spawn=spawn)
        self.hot_keys = HotKeys(bulk_server, namespace, enabled=settings.hot_keys, now_ms=now_ms)
