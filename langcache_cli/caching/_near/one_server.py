"""The near cache of one server: one connection says what has changed, and a ping proves that it works."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import Any

from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._near.generation import MAX_LAG_SECONDS
from langcache_cli.caching._near.memory import NearEntry, NearMemory
from langcache_cli.caching._near.tracking import HEARTBEAT_SECONDS, NearCache, NearFill, decoded
from langcache_cli.caching._wire.batched_connection import BatchedConnection


class OneServerNear(NearCache):
    """See `NearCache` for the methods."""

    def __init__(self, memory: NearMemory, namespace: str) -> None:
        """See `NearCache`."""
        super().__init__(memory, namespace)
        self._connection: BatchedConnection | None = None
        self._is_tracking = False
        self._proven_at = 0.0
        """When the last answered request was sent; all changes before it have been received."""
        self._served_since_heartbeat = False
        self._ping_is_pending = False

    def start_tracking(self, connection: BatchedConnection) -> None:
        """Start again, empty."""
        self.stop()
        if self._track(connection):
            self._connection = connection

    def stop(self) -> None:
        """See `NearCache`."""
        self._connection, self._is_tracking, self._ping_is_pending = None, False, False
        super().stop()

    def get(self, key: str, now: float) -> NearEntry | None:
        """See `NearCache`."""
        if not self._is_tracking or now - self._proven_at > MAX_LAG_SECONDS:
            return None
        entry = self.memory.get(key, now)
        if entry is not None:
            self._served_since_heartbeat = True
            if self._timer is None:
                self._heartbeat()
        return entry

    def peek(self, key: str, now: float) -> NearEntry | None:
        """See `NearCache`. The loop reads pushes meanwhile, and has sent its heartbeat."""
        if self._timer is None or not self._is_tracking or now - self._proven_at > MAX_LAG_SECONDS:
            return None
        self._served_since_heartbeat = True
        return self.memory.peek(key, now)

    def start_fill(self, keys: KeyAndTags) -> NearFill | None:
        """See `NearCache`."""
        connection = self._connection
        if connection is None or not self._is_tracking:
            return None
        generation = self.memory.generation
        return NearFill(generation, monotonic(), connection.request([("PTTL", keys[0])]).future)

    def _still_follows(self, _: NearFill) -> bool:
        return self._is_tracking

    def _prove(self, fill: NearFill) -> None:
        self._proven_at = max(self._proven_at, fill.sent_at)

    def _on_tracking(self, connection: BatchedConnection) -> None:
        if connection is self._connection:
            self._is_tracking = True

    def _on_changes(self, connection: BatchedConnection, keys: Sequence[bytes] | None) -> None:
        if connection is not self._connection:
            return
        if keys is None:
            self.memory.clear()
        else:
            self.memory.drop(decoded(keys))

    def _on_connection_lost(self, connection: BatchedConnection) -> None:
        if connection is self._connection:
            self.stop()

    def _heartbeat(self) -> None:
        """Ping while entries are served. An idle process runs no timer."""
        self._timer = None
        if self._connection is None or not self._served_since_heartbeat:
            return
        self._served_since_heartbeat = False
        if not self._ping_is_pending:
            self._ping_is_pending = True
            ping = self._connection.request([("PING",)])
            ping.future.add_done_callback(partial(self._on_pong, self._connection, monotonic()))
        self._timer = self._loop.call_later(HEARTBEAT_SECONDS, self._heartbeat)

    def _on_pong(
        self, connection: BatchedConnection, sent_at: float, reply: asyncio.Future[list[Any]]
    ) -> None:
        if connection is self._connection and not reply.cancelled() and reply.exception() is None:
            self._ping_is_pending = False
            self._proven_at = max(self._proven_at, sent_at)
