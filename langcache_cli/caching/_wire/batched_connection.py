"""A connection whose requests of one turn of the event loop leave in one write.

Waiting for the end of the turn costs an iteration of the loop. While requests come one after another, each is
therefore sent at once, as are look-ups of many keys; those of few keys always wait for others to join them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from langcache_cli.caching._errors import ConnectionLostError
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._wire.connection import Argument, Receiver, encode_command
from langcache_cli.caching._wire.externals import Connection
from langcache_cli.caching._wire.lookup_batch import LookupBatch
from langcache_cli.caching._wire.replies import Replies
from langcache_cli.caching._wire.server_identity import ServerIdentity

ALONE_AFTER = 3
"""After so many turns with one request each the next request is likely to be alone, too."""

MANY_KEYS = 32
"""A look-up of so many keys gains little from being joined by others."""


class BatchedConnection:
    """Gathers the requests of one turn and sends them over one connection."""

    def __init__(self, connection: Connection, new_lookup_batch: Callable[[], LookupBatch]) -> None:
        """Wrap a connection.

        Args:
            connection: Carries the requests.
            new_lookup_batch: Makes a batch without keys.
        """
        self._connection = connection
        self._new_lookup_batch = new_lookup_batch
        self._loop = asyncio.get_running_loop()
        self._encoded: list[bytes] = []
        self._receivers: list[Receiver] = []
        self._lookup_batches: list[LookupBatch] = []
        self._scheduled = False
        self._turns_alone = 0
        """How many of the latest turns had one request each."""
        self._awaits_reply = False
        """True until the reply to a request that was sent at once; until then the others are gathered."""
        self.open_batch: LookupBatch | None = None
        """The look-ups of this turn so far, if there are any; it may be full."""

    @property
    def alive(self) -> bool:
        """True while requests can be answered."""
        return self._connection.alive

    @property
    def server(self) -> ServerIdentity | None:
        """The server, as it was when the connection was made; None if it does not say."""
        return self._connection.server

    def call_at_end(self, on_end: Callable[[], object]) -> None:
        """Call ``on_end`` once when the connection ends, for whatever reason."""
        self._connection.call_at_end(on_end)

    def listen(self, on_push: Callable[[list[Any]], object], on_end: Callable[[], object]) -> None:
        """Call ``on_push`` with each push message, and ``on_end`` once when the connection ends."""
        self._connection.listen(on_push, on_end)

    def abort(self) -> None:
        """Drop the connection; requests under way fail with a `ConnectionLostError`."""
        self._connection.abort()

    def lookup(self, keys: KeyAndTags) -> asyncio.Future[Any]:
        """A future for the values of ``keys``. The look-ups of one turn are one MGET without duplicates."""
        batch = self.open_batch
        if batch is None or batch.full:
            if len(keys) >= MANY_KEYS and self._is_alone:
                batch = self._new_lookup_batch()
                caller = batch.add(keys)
                self._send_at_once(batch.encode(), [batch.receive])
                return caller
            batch = self.open_batch = self._new_lookup_batch()
            self._lookup_batches.append(batch)
            self._schedule()
        return batch.add(keys)

    def request(self, commands: Sequence[tuple[Argument, ...]]) -> Replies:
        """The replies to commands, which are sent one after the other with no other command in between."""
        replies = Replies(self._loop, len(commands))
        encoded = [encode_command(command) for command in commands]
        receivers: list[Receiver] = [replies.receive] * len(commands)
        if self._is_alone:
            self._send_at_once(b"".join(encoded), receivers)
        else:
            self._encoded += encoded
            self._receivers += receivers
            self._schedule()
        return replies

    def send_at_once(self, encoded: bytes, receivers: Sequence[Receiver]) -> None:
        """Send encoded commands before what this turn has gathered; see `Connection.send`.

        Raises:
            ConnectionLostError: The connection has ended; nothing was sent.
        """
        self._connection.send(encoded, receivers)

    @property
    def _is_alone(self) -> bool:
        return self._turns_alone >= ALONE_AFTER and not self._awaits_reply and not self._scheduled

    def _send_at_once(self, encoded: bytes, receivers: list[Receiver]) -> None:
        last = receivers[-1]

        def receive(reply: Any) -> None:
            self._awaits_reply = False
            last(reply)

        self._awaits_reply = True
        receivers[-1] = receive
        self._write(encoded, receivers)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        self._scheduled, self.open_batch = False, None
        encoded, receivers, batches = self._encoded, self._receivers, self._lookup_batches
        self._encoded, self._receivers, self._lookup_batches = [], [], []
        for batch in batches:  # after the requests: `NearCache.start_fill` relies on that order
            encoded.append(batch.encode())
            receivers.append(batch.receive)
        self._turns_alone = self._turns_alone + 1 if len(encoded) == 1 else 0
        self._write(encoded[0] if len(encoded) == 1 else b"".join(encoded), receivers)

    def _write(self, encoded: bytes, receivers: Sequence[Receiver]) -> None:
        try:
            self._connection.send(encoded, receivers)
        except ConnectionLostError as error:
            for receive in receivers:
                receive(error)
