"""Coherence of the near cache: Redis pushes the keys that have changed (``CLIENT TRACKING``).

Pushes arrive over the connection that also carries the look-ups, in the order in which the server sent them:
the reply to a request proves that all earlier changes have been received. Entries are therefore served only
while a recent request has been answered, which bounds their lag even if the connection fails silently.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import Any

from langcache_cli.caching._errors import ServerReplyError
from langcache_cli.caching._keys.selection import Invalidation
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._near.memory import NearEntry, NearMemory
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.connection import SUPPORTS_PUSH

logger = logging.getLogger("langcache_cli.caching")

MAX_LAG_SECONDS = 0.2
"""Upper bound for the lag behind Redis: the last answered request must not have been sent longer ago."""

HEARTBEAT_SECONDS = 0.05
"""Interval of the pings that prove the connection while entries are served."""

POLL_SECONDS = 0.005
"""Longest time that a task may be served from memory before the event loop reads received pushes."""


class NearCache:
    """The near cache of one event loop: a `NearMemory` that is read only while its lag is bounded."""

    def __init__(self, memory: NearMemory, namespace: str) -> None:
        """Prepare to track the keys of ``namespace``; nothing is served before `start_tracking`."""
        self.memory = memory
        self._prefixes = (f"{namespace}:", f"{namespace}@tag:")
        self._loop = asyncio.get_running_loop()
        self._connection: BatchedConnection | None = None
        self._is_tracking = False
        self._proven_at = 0.0
        """When the last answered request was sent; all changes before it have been received."""
        self._polled_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._served_since_heartbeat = False
        self._ping_is_pending = False
        self._has_warned = False

    def start_tracking(self, connection: BatchedConnection) -> None:
        """Start again, empty, over a connection that does not track anything yet."""
        self.stop()
        if not SUPPORTS_PUSH:
            self._warn("it needs hiredis 3.2 or newer")
            return
        self._connection = connection
        connection.listen(partial(self._on_push, connection), partial(self._on_connection_lost, connection))
        prefixes = [part for prefix in self._prefixes for part in ("PREFIX", prefix)]
        commands = [("HELLO", 3), ("CLIENT", "TRACKING", "ON", "BCAST", *prefixes)]
        connection.request(commands).future.add_done_callback(partial(self._on_tracking_reply, connection))

    def stop(self) -> None:
        """Drop all entries and keep none until the next `start_tracking`."""
        self._connection, self._is_tracking, self._ping_is_pending = None, False, False
        self.memory.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def connection(self) -> BatchedConnection | None:
        """The connection over which the server pushes changes; None while it does not."""
        return self._connection if self._is_tracking else None

    def get(self, key: str, now: float) -> NearEntry | None:
        """The entry under ``key`` if it may be served at ``now``, by `time.monotonic`."""
        if not self._is_tracking or now - self._proven_at > MAX_LAG_SECONDS:
            return None
        entry = self.memory.get(key, now)
        if entry is not None:
            self._served_since_heartbeat = True
            if self._timer is None:
                self._heartbeat()
        return entry

    def must_poll(self, now: float) -> bool:
        """True if `poll` must run before an entry is served at ``now``."""
        return now - self._polled_at > POLL_SECONDS

    async def poll(self) -> None:
        """Let the event loop read received pushes: a task whose calls are all near hits never suspends."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # callbacks of data read during the first pass run before this one returns
        self._polled_at = monotonic()

    def keep(
        self,
        keys: KeyAndTags,
        payload: bytes,
        value: Any,
        *,
        sent_at: float,
        expires_at: float,
        generation: int,
        codec: object,
    ) -> None:
        """Keep the result of a look-up; see `NearMemory.keep`.

        Args:
            keys: Redis keys of the entry and of its tags.
            payload: The encoded value.
            value: The decoded value.
            sent_at: When the look-up was about to be sent, by `time.monotonic`.
            expires_at: End of the entry's lifetime, by `time.monotonic`.
            generation: `NearMemory.generation` at ``sent_at``.
            codec: The codec that decoded the value.
        """
        if self._is_tracking:
            self.memory.keep(keys, payload, value, expires_at=expires_at, generation=generation, codec=codec)
            self._proven_at = max(self._proven_at, sent_at)

    def invalidate(self, invalidations: Sequence[Invalidation]) -> None:
        """Drop what this process has invalidated, without waiting for the push."""
        keys = [item for item in invalidations if isinstance(item, str)]
        if len(keys) == len(invalidations):
            self.memory.drop(keys)
        else:
            self.memory.clear()

    def _on_tracking_reply(self, connection: BatchedConnection, replies: asyncio.Future[list[Any]]) -> None:
        if connection is not self._connection or replies.cancelled() or replies.exception() is not None:
            return
        errors = [reply for reply in replies.result() if isinstance(reply, ServerReplyError)]
        if errors:
            self._warn(f"Redis rejected HELLO 3 or CLIENT TRACKING: {errors[0]}")
        self._is_tracking = not errors

    def _warn(self, reason: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning("the near cache is off, and every read goes to Redis: %s", reason)

    def _on_push(self, connection: BatchedConnection, message: list[Any]) -> None:
        if connection is not self._connection or message[0] != b"invalidate":
            return
        if message[1] is None:  # FLUSHALL or FLUSHDB
            self.memory.clear()
        else:
            self.memory.drop([key.decode("utf-8", "replace") for key in message[1]])

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
