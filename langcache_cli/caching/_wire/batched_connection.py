"""A connection whose requests of one turn of the event loop leave in one write."""

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
            batch = self.open_batch = self._new_lookup_batch()
            self._lookup_batches.append(batch)
            self._schedule()
        return batch.add(keys)

    def request(self, commands: Sequence[tuple[Argument, ...]]) -> Replies:
        """The replies to commands, which are sent one after the other with no other command in between."""
        replies = Replies(self._loop, len(commands))
        self._encoded += [encode_command(command) for command in commands]
        self._receivers += [replies.receive] * len(commands)
        self._schedule()
        return replies

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        self._scheduled, self.open_batch = False, None
        encoded, receivers, batches = self._encoded, self._receivers, self._lookup_batches
        self._encoded, self._receivers, self._lookup_batches = [], [], []
        for batch in batches:  # after the requests: `Reader._start_fill` relies on that order
            encoded.append(batch.encode())
            receivers.append(batch.receive)
        try:
            self._connection.send(encoded[0] if len(encoded) == 1 else b"".join(encoded), receivers)
        except ConnectionLostError as error:
            for receive in receivers:
                receive(error)
