"""Keeping a near cache in step with Redis: the server says which keys have changed (``CLIENT TRACKING``).

It says so over the connection that looks them up, so everything comes in the order in which it happened
there: whoever has the reply to a request knows of every change before it. That is what makes the lag
bounded. An entry is served only while some request of the last moments has been answered; a connection that
is lost, or only silent, ends it.
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
from langcache_cli.caching._near.memory import Kept, NearMemory
from langcache_cli.caching._wire.connection import knows_pushes
from langcache_cli.caching._wire.write_batch import BatchedConnection

logger = logging.getLogger("langcache_cli.caching")

MAX_LAG_SECONDS = 0.2
"""The longest lag there can be: the last request that was answered must not be older than that."""

HEARTBEAT_SECONDS = 0.05
"""How often to ask for that proof while entries are served."""

POLL_SECONDS = 0.005
"""How long a task may go on with entries from memory before the event loop reads what has arrived."""


class NearCache:
    """A near cache that knows when to be read_if_allowed."""

    def __init__(self, near: NearMemory, namespace: str) -> None:
        """Prepare for keys of ``namespace``; nothing is served before `follow`."""
        self.near = near
        self._prefixes = (f"{namespace}:", f"{namespace}@tag:")
        self._loop = asyncio.get_running_loop()
        self._out: BatchedConnection | None = None
        self._on = False
        self._proven_at = 0.0
        self._polled_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._used = False
        self._pinged = False
        self._warned = False

    def follow(self, out: BatchedConnection) -> None:
        """Begin anew over a connection that has just been made, or over which nothing was tracked so far."""
        self.end()
        if not knows_pushes:
            self._refused("it needs hiredis 3.2 or newer")
            return
        self._out = out
        out.link.listen(partial(self._pushed, out), partial(self._lost, out))
        prefixes = [part for prefix in self._prefixes for part in ("PREFIX", prefix)]
        commands = [("HELLO", 3), ("CLIENT", "TRACKING", "ON", "BCAST", *prefixes)]
        out.request(commands).future.add_done_callback(partial(self._begun, out))

    def end(self) -> None:
        """Serve nothing any more."""
        self._out, self._on, self._pinged = None, False, False
        self.near.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def follows(self, out: BatchedConnection) -> bool:
        """Whether it is told of what changes on the server at the other end of ``out``."""
        return self._on and out is self._out

    def get(self, key: str, now: float) -> Kept | None:
        """What is under ``key`` if it can be read_if_allowed at ``now``, by `time.monotonic`."""
        if not self._on or now - self._proven_at > MAX_LAG_SECONDS:
            return None
        kept = self.near.get(key, now)
        if kept is not None:
            self._used = True
            if self._timer is None:
                self._beat()
        return kept

    def must_poll(self, now: float) -> bool:
        """Whether it is time for `poll`."""
        return now - self._polled_at > POLL_SECONDS

    async def poll(self) -> None:
        """Let the event loop read what has arrived: a task that finds everything here waits for nothing."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # what the first one has read is handled before this one ends
        self._polled_at = monotonic()

    def keep(
        self,
        names: tuple[str, ...],
        payload: bytes,
        value: Any,
        *,
        asked_at: float,
        ends: float,
        since: int,
        codec: object,
    ) -> None:
        """Keep what a look-up has found; see `NearMemory.keep`.

        Args:
            names: Keys of the entry, and of its tags.
            payload: Its value, as bytes.
            value: Its value.
            asked_at: When the look-up was about to be sent.
            ends: When the entry ends.
            since: `NearMemory.moment` at that time.
            codec: What has made the value of the bytes.
        """
        if self._on:
            self.near.keep(names, payload, value, ends=ends, since=since, codec=codec)
            self._proven_at = max(self._proven_at, asked_at)

    def forget(self, invalidations: Sequence[Invalidation]) -> None:
        """This process has changed something: drop it without waiting to be told."""
        keys = [item for item in invalidations if isinstance(item, str)]
        if len(keys) == len(invalidations):
            self.near.drop(keys)
        else:
            self.near.clear()

    def _begun(self, out: BatchedConnection, replies: asyncio.Future[list[Any]]) -> None:
        if out is not self._out or replies.cancelled() or replies.exception() is not None:
            return
        errors = [reply for reply in replies.result() if isinstance(reply, ServerReplyError)]
        if errors:
            self._refused(f"Redis does not offer CLIENT TRACKING to us: {errors[0]}")
        self._on = not errors

    def _refused(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            logger.warning("the near cache is off, and every read goes to Redis: %s", reason)

    def _pushed(self, out: BatchedConnection, message: list[Any]) -> None:
        if out is not self._out or message[0] != b"invalidate":
            return
        if message[1] is None:  # FLUSHALL
            self.near.clear()
        else:
            self.near.drop([key.decode("utf-8", "replace") for key in message[1]])

    def _lost(self, out: BatchedConnection) -> None:
        if out is self._out:
            self.end()

    def _beat(self) -> None:
        """Ask for a sign of life while entries are served; an idle process runs no timer."""
        self._timer = None
        if self._out is None or not self._used:
            return
        self._used = False
        if not self._pinged:
            self._pinged = True
            ping = self._out.request([("PING",)])
            ping.future.add_done_callback(partial(self._alive, self._out, monotonic()))
        self._timer = self._loop.call_later(HEARTBEAT_SECONDS, self._beat)

    def _alive(self, out: BatchedConnection, asked_at: float, reply: asyncio.Future[list[Any]]) -> None:
        if out is self._out and not reply.cancelled() and reply.exception() is None:
            self._pinged = False
            self._proven_at = max(self._proven_at, asked_at)
