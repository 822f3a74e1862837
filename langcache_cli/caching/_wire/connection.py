"""One connection that all callers of an event loop share.

Requests are written as they come and answered in order, so a caller that is cancelled or has run
out of time just stops listening: it cannot leave a half-read reply behind for somebody else, which
is how pooled connections come to return another key's value. There is no task that could outlive
its loop, and no pool to run dry.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import hiredis

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._errors import ConnectionLostError, ServerReplyError
from langcache_cli.caching._wire.redis_py_client import close_socket
from langcache_cli.caching._wire.replies import Replies

Argument = bytes | str | int
PushNotification = getattr(hiredis, "PushNotification", None)
knows_pushes = PushNotification is not None
"""Whether this hiredis can tell what the server says of its own accord from the reply to a request."""

Receiver = Callable[[Any], object]
"""Is given a reply, or a `ConnectionLostError`."""


class RedisConnection(asyncio.Protocol):
    """A connected, authenticated Redis connection. Use `connect`."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(replyError=ServerReplyError)
        self._waiting: deque[Receiver] = deque()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._on_push: Callable[[list[Any]], object] | None = None
        self._on_end: Callable[[], object] | None = None

    @property
    def alive(self) -> bool:
        """Whether requests can still be answered."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, packed: bytes, receivers: Sequence[Receiver]) -> None:
        """Send what `pack` made of commands; each of ``receivers`` is given the reply to one of them.

        A reply is a `ServerReplyError` if Redis says so, a `ConnectionLostError` if the connection ends.

        Raises:
            ConnectionLostError: The connection has ended; nothing was sent.
        """
        if self._transport is None or self._transport.is_closing():
            raise ConnectionLostError("the connection has ended")
        self._waiting += receivers
        self._transport.write(packed)

    def listen(self, on_push: Callable[[list[Any]], object], on_end: Callable[[], object]) -> None:
        """Be told what the server says without being asked, and once when the connection has ended."""
        self._on_push, self._on_end = on_push, on_end

    def abort(self) -> None:
        """Drop the connection at once; requests under way fail. Works after the loop has closed, too."""
        transport, self._transport = self._transport, None
        if transport is not None:
            if self._loop.is_closed():
                close_socket(transport)
            else:
                transport.abort()
        self._fail(ConnectionLostError("the connection was closed"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio calls this once connected."""
        # not by isinstance: those of uvloop are transports by what they do
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Asyncio calls this with each piece of the reply stream."""
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                if self._on_push is not None and type(reply) is PushNotification:
                    self._on_push(reply)
                elif self._waiting:
                    self._waiting.popleft()(reply)
                else:
                    self.abort()  # nobody asked for this: it would be taken for the reply to a later request
                    return
        except hiredis.ProtocolError:
            self.abort()  # not a Redis server, or the stream is damaged
        if not self._waiting and self._on_push is None and self._reader.has_data():
            self.abort()  # as above, as soon as it begins

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio calls this when the connection ends, however it ends."""
        self._transport = None
        self._fail(ConnectionLostError(str(exc) if exc else "the server closed the connection"))

    def _fail(self, error: ConnectionLostError) -> None:
        on_end, self._on_push, self._on_end = self._on_end, None, None
        if on_end is not None:
            on_end()
        waiting = tuple(self._waiting)
        self._waiting.clear()
        if not self._loop.is_closed():
            for receive in waiting:
                receive(error)


def pack(command: Sequence[Argument]) -> bytes:
    """The bytes of a command.

    Raises:
        UnicodeEncodeError: A text with lone surrogates, which no key can hold.
    """
    packed: bytes = hiredis.pack_command(tuple(command))  # type: ignore[arg-type] # stub: one item
    return packed


async def ask(link: RedisConnection, commands: Sequence[Sequence[Argument]]) -> list[Any]:
    """The replies to some commands, error replies included."""
    replies = Replies(asyncio.get_running_loop(), len(commands))
    link.send(b"".join(map(pack, commands)), [replies.receive] * len(commands))
    return await replies.future


async def connect(address: RedisAddress) -> RedisConnection:
    """Connect, authenticate and choose the database.

    Takes as long as the network does; the caller bounds it. Cancelled, it leaves no socket open.

    Raises:
        OSError: No connection.
        ServerReplyError: Wrong user or password (``WRONGPASS``, ``NOAUTH``), no such database.
    """
    loop = asyncio.get_running_loop()
    if address.path:
        _, link = await loop.create_unix_connection(RedisConnection, address.path)
    else:
        tls = _tls_context(address) if address.tls else None
        _, link = await loop.create_connection(RedisConnection, address.host, address.port, ssl=tls)
    try:
        await _greet(link, address)
    except BaseException:
        link.abort()
        raise
    return link


async def _greet(link: RedisConnection, address: RedisAddress) -> None:
    commands: list[tuple[Argument, ...]] = []
    if address.password is not None:
        user = (address.username,) if address.username else ()
        commands.append(("AUTH", *user, address.password))
    if address.db:
        commands.append(("SELECT", address.db))
    commands.append(("PING",))  # the only one of the three that says whether data is still loading
    for command, reply in zip(commands, await ask(link, commands), strict=True):
        may_not_ping = command == ("PING",) and isinstance(reply, ServerReplyError) and reply.code == "NOPERM"
        if isinstance(reply, ServerReplyError) and not may_not_ping:  # a cache does without PING
            raise reply


def _tls_context(address: RedisAddress) -> ssl.SSLContext:
    """TLS as redis-py's URL options describe it, so that one URL means the same to both."""
    options = address.options
    context = ssl.create_default_context(
        cafile=options.get("ssl_ca_certs"), capath=options.get("ssl_ca_path")
    )
    if options.get("ssl_check_hostname", "true").lower() in ("false", "0", "no"):
        context.check_hostname = False
    if options.get("ssl_cert_reqs", "required") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate := options.get("ssl_certfile"):
        context.load_cert_chain(certificate, options.get("ssl_keyfile"))
    return context
