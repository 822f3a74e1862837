"""One primary of a cluster: a `Node` with look-ups of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from langcache_cli.caching._deployment.cluster.turn import KEYS_PER_TURN, Wanted, encode_gets
from langcache_cli.caching._deployment.server import LOOKUPS_AT_ONCE, Command
from langcache_cli.caching._errors import (
    CacheError,
    CacheUnavailableError,
    ConnectionLostError,
    ServerReplyError,
)
from langcache_cli.caching._tasks import own_task
from langcache_cli.caching._wire.batched_connection import BatchedConnection
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.connection import Receiver, encode_command
from langcache_cli.caching._wire.node import Node

SILENT_SECONDS = 0.5
"""A node that has not answered for so long may have been replaced; less than any `cluster-node-timeout`."""

ASKING = encode_command(("ASKING",))
MY_ID = encode_command(("CLUSTER", "MYID"))


class ClusterNode:
    """A node that some slots lead to. It connects when it is first needed, one attempt at a time."""

    def __init__(
        self,
        node: Node,
        *,
        node_id: str,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        contradiction: Callable[[str, float | None], Coroutine[Any, Any, CacheError | None]],
        on_trouble: Callable[[ClusterNode], object],
        on_retired: Callable[[], object] = lambda: None,
    ) -> None:
        """Prepare.

        Args:
            node: Its address, connection and breaker.
            node_id: Its name in the cluster, as others say; empty if it is not known yet.
            spawn: Runs an attempt to connect in the background.
            contradiction: Asks another node whether this one still has a key; see `Router.contradiction`.
            on_trouble: Called when it cannot be used, or is not the node that was expected.
            on_retired: Called when it is known that it has no slots any more.
        """
        self.node = node
        self.node_id = node_id
        self._spawn = spawn
        self._contradiction = contradiction
        self._on_trouble = on_trouble
        self.on_retired = on_retired
        self._loop = asyncio.get_running_loop()
        self._waits_for_connection: list[tuple[Wanted, bool]] = []
        self._ahead: list[tuple[bytes, Receiver]] = []
        """What the next look-ups are sent behind."""
        self.latest: BatchedConnection | None = None
        """The latest connection, from before it is used."""
        self.heard_at = float("-inf")
        """When it answered last, by the clock of the event loop."""

    def __str__(self) -> str:
        """Host and port."""
        return self.node.address.where

    @property
    def where(self) -> tuple[str, int]:
        """Host and port."""
        return self.node.address.host, self.node.address.port

    @property
    def is_silent(self) -> bool:
        """True if it has not answered for a while: it may have been replaced since, and not know it."""
        return self._loop.time() - self.heard_at > SILENT_SECONDS

    @property
    def is_connected(self) -> bool:
        """True while requests can be answered."""
        connection = self.node.connection
        return connection is not None and connection.alive and not self.node.breaker.open

    def get(self, wanted: list[Wanted], *, asking: bool = False) -> None:
        """Look up keys; each reply, or the error that takes its place, goes to `Wanted.receive`.

        Args:
            wanted: The keys.
            asking: True if this node only receives their slot (``ASK``).
        """
        for one in wanted:
            one.asked = self
        ahead, self._ahead = self._ahead, []
        if (problem := self.node.unusable()) is not None:
            self._on_trouble(self)
            for one in wanted:
                one.fail(problem)
            return
        connection = self.node.connection
        if connection is None or not connection.alive:
            if not self._waits_for_connection:
                self._spawn(self._connect())
            self._waits_for_connection += [(one, asking) for one in wanted]
            return
        if self.is_silent and not asking:
            held = [HeldReply(one, self.heard) for one in wanted]
            self._spawn(self._release(held))
            self._send(connection, wanted, [one.receive for one in held], ahead)
        else:
            receivers: list[Receiver] = [one.receive for one in wanted]
            receivers[-1] = partial(self._receive_last, wanted[-1])
            self._send(connection, wanted, receivers, ahead, asking=asking)

    def ask_ahead(self, encoded: bytes, receive: Receiver) -> None:
        """Send a command with the next look-ups, in front of them, or never if they cannot be sent.

        Args:
            encoded: The command.
            receive: Called with the reply, before those to the look-ups come.
        """
        if len(self._ahead) >= LOOKUPS_AT_ONCE * KEYS_PER_TURN:  # no look-ups have followed
            self._ahead.clear()
        self._ahead.append((encoded, receive))

    async def call_many(
        self, commands: Sequence[Command], budget: Budget, *, key: str | bytes | None
    ) -> list[Any]:
        """`Node.call_many`; an outage makes the cluster ask who has the slots now.

        Args:
            commands: The commands.
            budget: Upper bound for the time.
            key: A key in the slot of one of them, by which another node may know better; None for none.
        """
        witness = None
        if self.is_silent and key is not None:
            text = key if isinstance(key, str) else key.decode("utf-8", "surrogateescape")
            witness = own_task(self._loop, self._contradiction(text, budget.left), name="langcache-witness")
        try:
            replies = await self.node.call_many(commands, budget=budget)
            problem = await witness if witness is not None else None
        except CacheUnavailableError:
            self._on_trouble(self)
            raise
        finally:
            if witness is not None and not witness.done() and not self._loop.is_closed():
                witness.cancel()
                await asyncio.wait([witness])
        if problem is None:
            self.heard_at = self._loop.time()
            return replies
        self._on_trouble(self)
        if isinstance(problem, ServerReplyError):
            return [problem] * len(replies)
        raise problem

    def failed(self, error: Exception) -> CacheUnavailableError:
        """Count a failure, and return the error for those who wait."""
        self._on_trouble(self)
        return self.node.failed(error)

    def timed_out(self) -> CacheUnavailableError:
        """Count a time-out, and return the error for those who waited."""
        return self.failed(TimeoutError())

    def heard(self) -> None:
        """It has answered itself: what another node says of it is no sign that it does."""
        self.heard_at = self._loop.time()

    def check_identity(self, connection: BatchedConnection) -> None:
        """End a new connection if it leads to another node: addresses are used again by other clusters."""

        def receive(reply: Any) -> None:
            expected = self.node_id
            if expected and isinstance(reply, bytes) and reply.decode("ascii", "replace") != expected:
                connection.abort()  # what was sent behind this question is not believed
                self._on_trouble(self)

        self.latest = connection
        with contextlib.suppress(ConnectionLostError):  # the next request finds out
            connection.send_at_once(MY_ID, [receive])

    def _send(
        self,
        connection: BatchedConnection,
        wanted: Sequence[Wanted],
        receivers: Sequence[Receiver],
        ahead: Sequence[tuple[bytes, Receiver]],
        *,
        asking: bool = False,
    ) -> None:
        encoded = encode_gets(wanted)
        if asking:  # the flag is spent on any one command
            encoded = b"".join([ASKING + encode_gets([one]) for one in wanted])
            receivers = [receive for one in receivers for receive in (_ignore, one)]
        if ahead:
            encoded = b"".join([*[command for command, _ in ahead], encoded])
            receivers = [*[receive for _, receive in ahead], *receivers]
        try:
            connection.send_at_once(encoded, receivers)
        except ConnectionLostError as error:
            for one in wanted:
                one.receive(error)

    async def _release(self, held: Sequence[HeldReply]) -> None:
        """Pass replies on, once another node has said that this one still has the slots."""
        problem = await self._contradiction(held[0].key, None)
        if problem is not None:
            self._on_trouble(self)
        for one in held:
            one.release(problem)

    def _receive_last(self, wanted: Wanted, reply: Any) -> None:
        if reply is None or type(reply) is bytes:
            self.heard_at = self._loop.time()
            self.node.succeeded()
        wanted.receive(reply)

    async def _connect(self) -> None:
        problem: CacheUnavailableError | None = None
        try:
            await self.node.connect()
        except CacheUnavailableError as error:
            problem = error
            self._on_trouble(self)
        waiting, self._waits_for_connection = self._waits_for_connection, []
        for asking in (False, True):
            group = [one for one, is_asking in waiting if is_asking == asking and not one.settled]
            if problem is not None:
                for one in group:
                    one.fail(problem)
            elif group:
                self.get(group, asking=asking)


class HeldReply:
    """The reply to one look-up, until it is known whether it may be believed."""

    __slots__ = ("_is_released", "_on_passed", "_problem", "_replies", "_wanted")

    def __init__(self, wanted: Wanted, on_passed: Callable[[], object]) -> None:
        """Begin; ``on_passed`` is called when a value was passed on."""
        self._wanted = wanted
        self._on_passed = on_passed
        self._replies: list[Any] = []
        self._is_released = False
        self._problem: CacheError | None = None

    @property
    def key(self) -> str:
        """What was looked up."""
        return self._wanted.key

    def receive(self, reply: Any) -> None:
        """Take the reply."""
        if not self._is_released:
            self._replies.append(reply)
        elif not (reply is None or type(reply) is bytes):
            self._wanted.receive(reply)
        elif self._problem is None:
            self._on_passed()
            self._wanted.receive(reply)
        elif isinstance(self._problem, ServerReplyError):
            self._wanted.receive(self._problem)
        else:
            self._wanted.fail(self._problem)

    def release(self, problem: CacheError | None) -> None:
        """Pass the reply on, now or when it comes; ``problem`` takes the place of a value."""
        self._is_released, self._problem = True, problem
        replies, self._replies = self._replies, []
        for reply in replies:
            self.receive(reply)


def _ignore(_: Any) -> None:
    """The reply to ``ASKING``."""
