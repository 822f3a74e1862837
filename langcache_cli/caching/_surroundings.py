"""What a cache takes from outside: connections, and the time of day. Tests give it others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from langcache_cli.caching._addresses import RedisAddress
from langcache_cli.caching._entry import now_ms
from langcache_cli.caching._link import connect


class Connection(Protocol):
    """What `Link` offers to those who use it."""

    @property
    def alive(self) -> bool:
        """Whether requests can still be answered."""
        ...

    def lookup(self, keys: Sequence[str]) -> asyncio.Future[Any]:
        """Ask for the values of keys; the future holds them in a list."""
        ...

    def request(self, packed: bytes) -> asyncio.Future[Any]:
        """Send a packed command; the future holds the reply, or fails with `LinkLostError`."""
        ...

    def abort(self) -> None:
        """Drop the connection; requests under way fail."""
        ...


Connect = Callable[[RedisAddress], Awaitable[Connection]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where connections come from, and what time it is.

    Attributes:
        connect: Opens an authenticated connection; raises `OSError` or `ServerReplyError`.
        now_ms: Milliseconds since 1970, UTC.
    """

    connect: Connect = connect
    now_ms: Callable[[], int] = now_ms
