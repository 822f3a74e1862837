"""Waking those who wait for a key to change: Redis pushes the change (``CLIENT TRACKING``).

Only keys that are read over a connection of its own are tracked, so no other command costs more. A push is no
more than a hint to look at once: who waits also looks now and then without one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Self

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._errors import CacheError, ServerReplyError
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.connection import SUPPORTS_PUSH
from langcache_cli.caching._wire.externals import Connect
from langcache_cli.caching._wire.node import Node

ON_CONNECT = [("HELLO", 3), ("CLIENT", "TRACKING", "ON")]


class KeyWatch:
    """The keys that one event loop waits for."""

    def __init__(
        self,
        address_of: Callable[[str], RedisAddress],
        *,
        timeout: float,
        connect: Connect,
        spawn: Callable[[Coroutine[Any, Any, Any]], object],
        enabled: bool,
    ) -> None:
        """Prepare; the first wait connects.

        Args:
            address_of: The server that has a key.
            timeout: Seconds that a command may take.
            connect: Opens a connection.
            spawn: Runs work in the background.
            enabled: False to watch nothing, as for a server in memory.
        """
        self._address_of = address_of
        self._new_node = partial(Node, timeout=timeout, connect=connect, on_connect=self._start)
        self._nodes: dict[tuple[str, int], Node] = {}
        self._spawn = spawn
        self._watched: dict[str, set[Changes]] = {}
        self._supported = enabled and SUPPORTS_PUSH

    def watching(self, key: str) -> Changes:
        """A context manager, inside which changes of ``key`` are noticed."""
        return Changes(self, key)

    def add(self, changes: Changes) -> None:
        """Watch a key from now on."""
        self._watched.setdefault(changes.key, set()).add(changes)

    def remove(self, changes: Changes) -> None:
        """End a watch."""
        watching = self._watched[changes.key]
        watching.discard(changes)
        if not watching:
            del self._watched[changes.key]

    def track(self, changes: Changes) -> None:
        """Let the server push the next change of a key."""
        if self._supported and not changes.being_tracked:
            changes.being_tracked = True
            self._spawn(self._track(changes))

    def abandon(self) -> list[asyncio.Task[BatchedConnection]]:
        """Drop the connections for good; see `Node.abandon`."""
        return [task for node in self._nodes.values() for task in node.abandon()]

    async def _track(self, changes: Changes) -> None:
        """A key that was read is tracked until it changes. ``PTTL`` has a short reply."""
        try:
            await self._node_of(changes.key).call("PTTL", changes.key)
        except CacheError:
            pass  # then the key is only looked at now and then
        else:
            changes.tracked = self._supported and changes.being_tracked  # no push came right behind the reply
            changes.seen.set()  # what changed before the reply is not pushed
        finally:
            changes.being_tracked = False

    def _node_of(self, key: str) -> Node:
        address = self._address_of(key)
        where = address.host, address.port
        if where not in self._nodes:
            self._nodes[where] = self._new_node(address)
        return self._nodes[where]

    def _start(self, connection: BatchedConnection) -> None:
        """Use a new connection, over which nothing has been sent yet."""
        connection.listen(self._on_push, self._on_end)
        connection.request(ON_CONNECT).future.add_done_callback(self._on_reply)

    def _on_reply(self, replies: asyncio.Future[list[Any]]) -> None:
        if not replies.cancelled() and replies.exception() is None:
            self._supported = not any(isinstance(reply, ServerReplyError) for reply in replies.result())

    def _on_push(self, message: list[Any]) -> None:
        if message[0] != b"invalidate":
            return
        keys = self._watched if message[1] is None else [key.decode("utf-8", "replace") for key in message[1]]
        self._changed(keys)

    def _on_end(self) -> None:
        self._changed(self._watched)

    def _changed(self, keys: Any) -> None:
        for changes in [changes for key in keys for changes in self._watched.get(key, ())]:
            changes.tracked = changes.being_tracked = False
            changes.seen.set()


class Changes:
    """The changes of one key, for one who waits."""

    def __init__(self, watch: KeyWatch, key: str) -> None:
        self.key = key
        self.tracked = False
        """True if the server will push the next change."""
        self.being_tracked = False
        """True while that is being asked for."""
        self.seen = asyncio.Event()
        self._watch = watch

    def __enter__(self) -> Self:
        self._watch.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.remove(self)

    async def wait(self, seconds: float) -> None:
        """Return when the key may have changed, or after ``seconds``."""
        if not self.tracked:
            self._watch.track(self)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.seen.wait()
        self.seen.clear()
