"""What a cache takes from outside the process: connections and the time of day. Tests replace both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from langcache_cli.caching._clock import now_ms
from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._wire.connection import Receiver
from langcache_cli.caching._wire.handshake import connect
from langcache_cli.caching._wire.server_identity import ServerIdentity


class Connection(Protocol):
    """The part of `RedisConnection` that the core uses."""

    @property
    def alive(self) -> bool:
        """True while requests can be answered."""
        ...

    @property
    def server(self) -> ServerIdentity | None:
        """The server, as it was when the connection was made; None if it does not say."""
        ...

    def send(self, encoded: bytes, receivers: Sequence[Receiver]) -> None:
        """Send encoded commands; each receiver is called with the reply to one, or a `ConnectionLostError`.

        Raises:
            ConnectionLostError: The connection has ended; nothing was sent.
        """
        ...

    def listen(self, on_push: Callable[[list[Any]], object], on_end: Callable[[], object]) -> None:
        """Call ``on_push`` with each push message, and ``on_end`` once when the connection ends."""
        ...

    def call_at_end(self, on_end: Callable[[], object]) -> None:
        """Call ``on_end`` once when the connection ends, for whatever reason."""
        ...

    def abort(self) -> None:
        """Drop the connection; requests under way fail with a `ConnectionLostError`."""
        ...


Connect = Callable[[RedisAddress], Awaitable[Connection]]


@dataclass(frozen=True, slots=True)
class Externals:
    """Where connections come from, and what time it is.

    Attributes:
        connect: Opens an authenticated connection; raises `OSError` or `ServerReplyError`.
        now_ms: Milliseconds since 1970, UTC.
        in_memory: True if ``connect`` leads to a server in memory, whatever ``REDIS_URL`` says.
    """

    connect: Connect = connect
    now_ms: Callable[[], int] = now_ms
    in_memory: bool = False
