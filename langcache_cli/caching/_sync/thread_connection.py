"""A connection of one thread to one plain server, for look-ups only: it blocks, and needs no event loop."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Callable
from time import monotonic
from typing import Any

import hiredis

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._config.tls import tls_context
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._wire.connection import encode_command
from langcache_cli.caching._wire.handshake import greeting, server_in
from langcache_cli.caching._wire.replies import is_mget_reply
from langcache_cli.caching._wire.server_identity import ServerIdentity

PIECE_BYTES = 64 * 1024


class ThreadConnection:
    """Connected and authenticated. After any error, and any interruption, it is of no use any more."""

    def __init__(self, address: RedisAddress, *, seconds: float) -> None:
        """Connect, authenticate and select the database.

        Args:
            address: The server.
            seconds: How long it may take, and later each look-up.

        Raises:
            OSError: No connection.
            ServerReplyError: The server refused it.
        """
        self.server: ServerIdentity | None = None
        """The server, as it was when the connection was made; None if it does not say."""
        self._seconds = seconds
        self._reader = hiredis.Reader(replyError=address.acl_user.refusal)
        ends = monotonic() + seconds
        self._socket = _connected(address, seconds)
        try:
            commands = greeting(address)
            self._socket.sendall(b"".join(map(encode_command, commands)))
            self.server = server_in(commands, [self._reply(ends) for _ in commands])
        except BaseException:
            self._socket.close()
            raise
        self._pid = os.getpid()
        self.is_busy = False
        """True from the start of a look-up until its whole reply is read; for good after an error."""
        self._unread: Callable[[int], object] | None = None
        """Says whether there is anything to read; None if that says nothing, as with TLS."""
        if not address.tls and hasattr(select, "poll"):
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            self._unread = poll.poll

    def __del__(self) -> None:
        """Close it with its thread; in the child of a fork without any effect on that of the parent."""
        with contextlib.suppress(AttributeError):  # it was never connected
            self._socket.close()

    def end(self) -> None:
        """Say goodbye, from whatever thread; a look-up under way fails."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def look_up(self, keys: KeyAndTags) -> list[bytes | None]:
        """The values of ``keys``; the connection must not be busy.

        Raises:
            OSError: No answer in time, another answer, or the connection was lost.
        """
        self.is_busy = True  # before the poll, too: a second one at the same time is an error
        if self._pid != os.getpid():
            raise ConnectionResetError("it belongs to the parent process")
        if self._unread is not None and self._unread(0):
            raise ConnectionResetError("closed, or unrequested: it would be taken for the reply")
        ends = monotonic() + self._seconds
        self._socket.sendall(encode_command(("MGET", *keys)))
        found: list[bytes | None] = self._reply(ends)
        if not is_mget_reply(found, len(keys)) or self._reader.has_data():
            raise ConnectionResetError("the reply is not one to MGET")
        self.is_busy = False
        return found

    def _reply(self, ends: float) -> Any:
        reader, receive = self._reader, self._socket.recv
        try:
            while (reply := reader.gets()) is False:
                if monotonic() > ends:
                    raise TimeoutError
                if not (data := receive(PIECE_BYTES)):
                    raise ConnectionResetError("the server closed the connection")
                reader.feed(data)
        except hiredis.ProtocolError as error:
            raise ConnectionResetError("what listens there is not Redis") from error
        return reply


def _connected(address: RedisAddress, seconds: float) -> socket.socket:
    if address.path:
        inner = socket.socket(socket.AF_UNIX)
        inner.settimeout(seconds)
        try:
            inner.connect(address.path)
        except BaseException:
            inner.close()
            raise
        return inner
    inner = socket.create_connection((address.host, address.port), seconds)
    try:
        inner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not address.tls:
            return inner
        return tls_context(address.options).wrap_socket(inner, server_hostname=address.host)
    except BaseException:
        inner.close()
        raise
