"""Coherence of the near cache: Redis pushes the keys that have changed (``CLIENT TRACKING``).

Pushes arrive over the connection that also carries the look-ups, in the order in which the server sent them:
the reply to a request proves that all earlier changes have been received. Entries are therefore served only
while a recent request has been answered, which bounds their lag even if the connection fails silently.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

from langcache_cli.caching._errors import ServerReplyError
from langcache_cli.caching._keys.selection import Invalidation
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._near.generation import Generation
from langcache_cli.caching._near.memory import NearEntry, NearMemory
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.connection import SUPPORTS_PUSH

logger = logging.getLogger("langcache_cli.caching")

HEARTBEAT_SECONDS = 0.05
"""Interval of the requests that prove a connection while entries are served."""

POLL_SECONDS = 0.005
"""Longest time that a task may be served from memory before the event loop reads received pushes."""


class NearFill(NamedTuple):
    """What is needed to keep the result of a look-up.

    Attributes:
        generation: `NearMemory.generation` before it.
        sent_at: When it was about to be sent, by `time.monotonic`.
        ttl: Will hold the remaining TTL of the entry in milliseconds.
        sources: What the entry will rely on; empty on one server.
    """

    generation: int
    sent_at: float
    ttl: asyncio.Future[list[Any]]
    sources: tuple[Generation, ...] = ()


class NearCache(ABC):
    """The near cache of one event loop: a `NearMemory` that is read only while its lag is bounded."""

    def __init__(self, memory: NearMemory, namespace: str) -> None:
        """Prepare to track the keys of ``namespace``; nothing is served before `start_tracking`."""
        self.memory = memory
        self._namespace = namespace
        self._loop = asyncio.get_running_loop()
        self._polled_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        """Until the next heartbeat; None while nothing is served."""
        self._has_warned = False

    @abstractmethod
    def start_tracking(self, connection: BatchedConnection) -> None:
        """Follow what a server says over a connection that does not track anything yet."""

    @abstractmethod
    def get(self, key: str, now: float) -> NearEntry | None:
        """The entry under ``key`` if it may be served at ``now``, by `time.monotonic`."""

    def peek(self, key: str, now: float) -> NearEntry | None:  # noqa: ARG002 - a cluster's asks its nodes
        """`get` from another thread than that of the event loop; None if only the loop can say."""
        return None

    @abstractmethod
    def start_fill(self, keys: KeyAndTags) -> NearFill | None:
        """Ask for the TTL of the entry that is about to be looked up, over the same connection.

        Args:
            keys: Redis keys of the entry and of its tags.

        Returns:
            What `keep` needs; None if the result must not be kept.
        """

    def keep(
        self,
        keys: KeyAndTags,
        payload: bytes,
        value: Any,
        fill: NearFill,
        *,
        expires_at: float,
        codec: object,
    ) -> None:
        """Keep the result of a look-up, unless a change may have been missed since; see `NearMemory.keep`.

        Args:
            keys: Redis keys of the entry and of its tags.
            payload: The encoded value.
            value: The decoded value.
            fill: What `start_fill` returned before the look-up was sent.
            expires_at: End of the entry's lifetime, by `time.monotonic`.
            codec: The codec that decoded the value.
        """
        if not self._still_follows(fill):
            return
        self.memory.keep(
            *(keys, payload, value),
            expires_at=expires_at,
            generation=fill.generation,
            codec=codec,
            sources=fill.sources,
        )
        self._prove(fill)

    def stop(self) -> None:
        """Drop all entries and keep none until the next `start_tracking`."""
        self.memory.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def must_poll(self, now: float) -> bool:
        """True if `poll` must run before an entry is served at ``now``."""
        return now - self._polled_at > POLL_SECONDS

    async def poll(self) -> None:
        """Let the event loop read received pushes: a task whose calls are all near hits never suspends."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # callbacks of data read during the first pass run before this one returns
        self._polled_at = monotonic()

    def invalidate(self, invalidations: Sequence[Invalidation]) -> None:
        """Drop what this process has invalidated, without waiting for the push."""
        keys = [item for item in invalidations if isinstance(item, str)]
        if len(keys) == len(invalidations):
            self.memory.drop(keys)
        else:
            self.memory.clear()

    @abstractmethod
    def _still_follows(self, fill: NearFill) -> bool:
        """True if no connection that the entry relies on was lost since ``fill`` was begun."""

    @abstractmethod
    def _prove(self, fill: NearFill) -> None:
        """The look-up of ``fill`` was answered: all changes before it have been received."""

    @abstractmethod
    def _on_changes(self, connection: BatchedConnection, keys: Sequence[bytes] | None) -> None:
        """A server has pushed the keys that have changed; None: all (``FLUSHALL``, ``FLUSHDB``)."""

    @abstractmethod
    def _on_tracking(self, connection: BatchedConnection) -> None:
        """From now on a server pushes what changes."""

    @abstractmethod
    def _on_connection_lost(self, connection: BatchedConnection) -> None:
        """A connection has ended."""

    def _track(self, connection: BatchedConnection) -> bool:
        """Request pushes; False if this process cannot read them."""
        if not SUPPORTS_PUSH:
            self._warn("it needs hiredis 3.2 or newer")
            return False
        connection.listen(partial(self._on_push, connection), partial(self._on_connection_lost, connection))
        prefixes = (f"{self._namespace}:", f"{self._namespace}@tag:")
        words = [word for prefix in prefixes for word in ("PREFIX", prefix)]
        replies = connection.request([("HELLO", 3), ("CLIENT", "TRACKING", "ON", "BCAST", *words)])
        replies.future.add_done_callback(partial(self._on_tracking_reply, connection))
        return True

    def _on_tracking_reply(self, connection: BatchedConnection, replies: asyncio.Future[list[Any]]) -> None:
        if replies.cancelled() or replies.exception() is not None:
            return
        errors = [reply for reply in replies.result() if isinstance(reply, ServerReplyError)]
        if errors:
            self._warn(f"Redis rejected HELLO 3 or CLIENT TRACKING: {errors[0]}")
        else:
            self._on_tracking(connection)

    def _on_push(self, connection: BatchedConnection, message: list[Any]) -> None:
        if message[0] == b"invalidate":
            self._on_changes(connection, message[1])

    def _warn(self, reason: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning("the near cache is off, and every read goes to Redis: %s", reason)


def decoded(keys: Iterable[bytes]) -> list[str]:
    """Redis keys as text."""
    return [key.decode("utf-8", "replace") for key in keys]
