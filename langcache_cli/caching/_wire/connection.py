"""One Redis connection, shared by all callers of an event loop.

Requests are written as they come and answered in order. A caller that is cancelled or runs out of time just
stops waiting: it leaves no half-read reply behind, which in a pool of connections can reach another caller as
the value of another key. No task can outlive the event loop, and there is no pool to run dry.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import hiredis

from langcache_cli.caching._errors import ConnectionLostError, NotRedisError, ServerReplyError
from langcache_cli.caching._fork import call_in_child, notice_fork
from langcache_cli.caching._wire.replies import Replies
from langcache_cli.caching._wire.server_identity import ServerIdentity

Argument = bytes | str | int
"""One word of a command."""

PushNotification = getattr(hiredis, "PushNotification", None)
SUPPORTS_PUSH = PushNotification is not None
"""False with hiredis before 3.2, which cannot tell a push message from the reply to a request."""

_TLS_ALERT = b"\x15"
"""How a server that speaks TLS answers a plain request begins."""

Receiver = Callable[[Any], object]
"""Called with the reply to one request, or with a `ConnectionLostError`."""


class Sender(Protocol):
    """What commands can be sent over."""

    def send(self, encoded: bytes, receivers: Sequence[Receiver]) -> None:
        """See `RedisConnection.send`."""
        ...


class RedisConnection(asyncio.Protocol):
    """A connected, authenticated connection. `connect` in `handshake` makes one."""

    def __init__(self, as_error: Callable[[str], Exception] = ServerReplyError) -> None:
        """Prepare.

        Args:
            as_error: Makes the error of an error reply.
        """
        self._reader = hiredis.Reader(replyError=as_error)
        self._waiting: deque[Receiver] = deque()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._on_push: Callable[[list[Any]], object] | None = None
        self._on_end: list[Callable[[], object]] = []
        self.server: ServerIdentity | None = None
        """The server, as it was when the connection was made; None if it does not say."""
        self._pid = os.getpid()
        call_in_child(self, "leave_to_parent")

    @property
    def alive(self) -> bool:
        """True while requests can be answered."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, encoded: bytes, receivers: Sequence[Receiver]) -> None:
        """Send encoded commands; each of ``receivers`` is called with the reply to one of them.

        An error reply is a `ServerReplyError`; a connection that ends first gives a `ConnectionLostError`.

        Raises:
            ConnectionLostError: The connection has ended; nothing was sent.
        """
        if self._pid != os.getpid():
            notice_fork()
        if self._transport is None or self._transport.is_closing():
            raise ConnectionLostError("the connection has ended")
        self._waiting += receivers
        self._transport.write(encoded)

    def listen(self, on_push: Callable[[list[Any]], object], on_end: Callable[[], object]) -> None:
        """Call ``on_push`` with each push message, and ``on_end`` once when the connection ends."""
        self._on_push = on_push
        self._on_end.append(on_end)

    def call_at_end(self, on_end: Callable[[], object]) -> None:
        """Call ``on_end`` once when the connection ends, for whatever reason."""
        self._on_end.append(on_end)

    def abort(self) -> None:
        """Drop the connection at once; requests under way fail. Works after the loop has closed, too."""
        transport, self._transport = self._transport, None
        if transport is not None:
            if self._loop.is_closed():
                close_socket(transport)
            else:
                transport.abort()
        self._fail(ConnectionLostError("the connection was closed"))

    def leave_to_parent(self) -> None:
        """Give up the connection in the child of a fork, without any effect on that of the parent."""
        transport, self._transport = self._transport, None
        if transport is not None:
            detach_socket(transport)
        self._fail(ConnectionLostError("the process was forked"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Callback of asyncio: the connection is established."""
        # no isinstance check: uvloop's transports are no subclasses of asyncio's
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Callback of asyncio: a piece of the reply stream."""
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                if self._on_push is not None and type(reply) is PushNotification:
                    self._on_push(reply)
                elif self._waiting:
                    self._waiting.popleft()(reply)
                else:
                    self.abort()  # unrequested: it would be taken for the reply to a later request
                    return
        except hiredis.ProtocolError:  # not a Redis server, or the stream is damaged
            if self.server is None and not data.startswith(_TLS_ALERT):
                self._fail(NotRedisError("what listens there is not Redis"))
            self.abort()
        if not self._waiting and self._on_push is None and self._reader.has_data():
            self.abort()  # the beginning of an unrequested reply

    def connection_lost(self, exc: Exception | None) -> None:
        """Callback of asyncio: the connection has ended, for whatever reason."""
        self._transport = None
        self._fail(ConnectionLostError(str(exc) if exc else "the server closed the connection"))

    def _fail(self, error: ConnectionLostError) -> None:
        ending, self._on_push, self._on_end = self._on_end, None, []
        for on_end in ending:
            on_end()
        waiting = tuple(self._waiting)
        self._waiting.clear()
        if not self._loop.is_closed():
            for receive in waiting:
                receive(error)


def encode_command(command: Sequence[Argument]) -> bytes:
    """The bytes of a command in RESP.

    Raises:
        UnicodeEncodeError: A text with lone surrogates, which no key can hold.
    """
    encoded: bytes = hiredis.pack_command(tuple(command))  # type: ignore[arg-type] # the stub allows one item only
    return encoded


async def ask(connection: Sender, commands: Sequence[Sequence[Argument]]) -> list[Any]:
    """The replies to commands, error replies included. It has no time limit of its own.

    Raises:
        ConnectionLostError: The connection ended before the last reply.
    """
    replies = Replies(asyncio.get_running_loop(), len(commands))
    connection.send(b"".join(map(encode_command, commands)), [replies.receive] * len(commands))
    return await replies.future


def detach_socket(transport: asyncio.BaseTransport) -> None:
    """Put a closed stream in the place of a transport's socket, which the parent of this process uses.

    Closing the transport would take the socket out of the parent's event loop: both share one epoll object.
    """
    inner = transport.get_extra_info("socket")
    if inner is not None and inner.fileno() >= 0:
        ended, other_end = socket.socketpair()
        with ended, other_end:
            os.dup2(ended.fileno(), inner.fileno(), inheritable=False)


def close_socket(transport: asyncio.BaseTransport) -> None:
    """Close the socket of a transport whose event loop has closed; the transport itself needs the loop."""
    inner = getattr(transport, "_sock", None)
    if inner is not None:
        inner.close()
        # or the finalisers of the transport and of its writer warn about an unclosed transport
        transport._sock = None  # type: ignore[attr-defined]  # noqa: SLF001
        transport._closing = True  # type: ignore[attr-defined]  # noqa: SLF001
