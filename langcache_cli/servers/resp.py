"""Just enough of Redis' protocol to ask a server how it is, without a client library's retries and caches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from langcache_cli.servers.spec import ServerSpec

# INFO of a large server is about 10 kB; what claims more than this is not Redis.
_LONGEST_REPLY: Final = 1 << 20


class ForeignReplyError(Exception):
    """What came back, or the silence before the connection closed, is not Redis' protocol."""


class RefusedError(Exception):
    """The server answered with an error.

    Attributes:
        code: The first word of its reply, for example WRONGPASS. The rest is dropped: it may quote what was
            sent.
        about_missing_password: A password was sent to a server that has none.
    """

    def __init__(self, reply: str) -> None:
        self.code = reply.split(" ", 1)[0]
        self.about_missing_password = "without any password" in reply or "no password is set" in reply
        super().__init__(self.code)


class Link:
    """One connection that asks and waits for the answer; one caller at a time, no time limit of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def call(self, *words: str) -> str:
        """Send one command and return its reply as text.

        Raises:
            RefusedError: The server replied with an error.
            ForeignReplyError: The reply is not Redis' protocol, or there was none.
        """
        try:
            self._writer.write(_encode(words))
            return await self._reply()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            # The cause is named by type only: a ValueError from int() would quote what it read.
            raise ForeignReplyError(type(error).__name__) from None

    async def authenticate(self, spec: ServerSpec) -> None:
        """AUTH as the clients of this URL do; nothing without a password."""
        if spec.password:
            await self.call("AUTH", *([spec.username] if spec.username else []), spec.password)

    async def _reply(self) -> str:
        line = (await self._reader.readuntil(b"\r\n"))[:-2].decode(errors="replace")
        kind, rest = line[:1], line[1:]
        if kind == "-":
            raise RefusedError(rest)
        if kind in {"+", ":"}:
            return rest
        if kind == "$" and 0 <= int(rest) < _LONGEST_REPLY:
            return (await self._reader.readexactly(int(rest) + 2))[:-2].decode(errors="replace")
        raise ForeignReplyError(kind)


@asynccontextmanager
async def connected(spec: ServerSpec) -> AsyncIterator[Link]:
    """A connection to the server, closed at the end without waiting for the other side.

    Raises:
        OSError: Nothing listens there.
    """
    reader, writer = await asyncio.open_connection(spec.host, spec.port)
    try:
        yield Link(reader, writer)
    finally:
        writer.transport.abort()


def _encode(words: tuple[str, ...]) -> bytes:
    encoded = [word.encode() for word in words]
    bulks = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)
    return b"*%d\r\n%b" % (len(encoded), bulks)
