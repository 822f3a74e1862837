"""A connection to an in-memory server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import hiredis

from langcache_cli.caching._errors import ConnectionLostError
from langcache_cli.caching._wire.connection import Receiver
from langcache_cli.caching._wire.server_identity import ServerIdentity


class MemoryConnection:
    """Replies in the next iteration of the event loop."""

    def __init__(self, execute: Callable[[list[bytes]], Any], identity: ServerIdentity) -> None:
        """Connect to the server that executes commands with ``execute``."""
        self._execute = execute
        self.server: ServerIdentity | None = identity
        self._reader = hiredis.Reader()
        self._on_end: list[Callable[[], object]] = []
        self._loop = asyncio.get_running_loop()
        self._open = True

    @property
    def alive(self) -> bool:
        """False once the connection was closed."""
        return self._open

    def send(self, encoded: bytes, receivers: Sequence[Receiver]) -> None:
        """Execute encoded commands.

        Raises:
            ConnectionLostError: The connection was closed.
        """
        if not self._open:
            raise ConnectionLostError("the connection has ended")
        self._reader.feed(encoded)
        for receive in receivers:
            self._loop.call_soon(receive, self._execute(self._reader.gets()))

    def listen(self, on_push: Callable[[list[Any]], object], on_end: Callable[[], object]) -> None:
        """Do nothing: this server does not push, because it does not support ``CLIENT TRACKING``."""

    def call_at_end(self, on_end: Callable[[], object]) -> None:
        """Call ``on_end`` once when the connection is closed."""
        self._on_end.append(on_end)

    def abort(self) -> None:
        """Close the connection."""
        self._open = False
        ending, self._on_end = self._on_end, []
        for on_end in ending:
            on_end()
