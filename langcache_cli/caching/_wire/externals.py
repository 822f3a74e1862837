"""What a cache takes from outside: connections, and the time of day. Tests give it others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from langcache_cli.caching._clock import now_ms
from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._wire.connection import Receiver, connect


class Connection(Protocol):
    """What `RedisConnection` offers to those who use it."""

    @property
    def alive(self) -> bool:
        """Whether requests can still be answered."""
        ...

    def send(self, packed: bytes, receivers: Sequence[Receiver]) -> None:
        """Send packed commands; each receiver is given the reply to one, or a `ConnectionLostError`.

        Raises:
            ConnectionLostError: The connection has ended; nothing was sent.
        """
        ...

    def listen(self, on_push: Callable[[list[Any]], object], on_end: Callable[[], object]) -> None:
        """Be told what the server says without being asked, and once when the connection has ended."""
        ...

    def abort(self) -> None:
        """Drop the connection; those who wait for replies are given a `ConnectionLostError`."""
        ...


Connect = Callable[[RedisAddress], Awaitable[Connection]]


@dataclass(frozen=True, slots=True)
class Externals:
    """Where connections come from, and what time it is.

    Attributes:
        connect: Opens an authenticated connection; raises `OSError` or `ServerReplyError`.
        now_ms: Milliseconds since 1970, UTC.
    """

    connect: Connect = connect
    now_ms: Callable[[], int] = now_ms
