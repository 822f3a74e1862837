"""One connection through the fault proxy: two pumps, and what can go wrong in each."""

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

CHUNK_BYTES = 65536
CHUNKS_IN_FLIGHT = 256
DRIP_INTERVAL = 0.02
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
END = b""


@dataclass(frozen=True)
class Faults:
    """What is wrong. Delays in seconds, rates in bytes per second, None for no limit."""

    request_delay: float = 0.0
    reply_delay: float = 0.0
    request_rate: float | None = None
    reply_rate: float | None = None
    swallow_requests: bool = False
    swallow_replies: bool = False
    reply_bytes_left: int | None = None


@dataclass
class Traffic:
    """Bytes in one direction, over all connections."""

    read: int = 0
    forwarded: int = 0


class Proxy(Protocol):
    """What a connection needs to know of its proxy."""

    target: tuple[str, int]
    requests: Traffic
    replies: Traffic

    @property
    def faults(self) -> Faults: ...

    def reply_bytes_used(self, count: int) -> bool: ...


class ProxiedConnection:
    """Lives in the proxy's event loop. `run` ends when either side does, in the way that side ended."""

    def __init__(self, client: socket.socket, proxy: Proxy) -> None:
        self.lost_bytes = False
        self._client = _ready(client)
        self._server: socket.socket | None = None
        self._proxy = proxy
        self._changed = asyncio.Event()

    def faults_changed(self) -> None:
        """Wake whoever sleeps through a delay or a drip."""
        self._changed.set()
        self._changed = asyncio.Event()

    def reset(self) -> None:
        """Make closing the client's side a RST. The server's side is closed in the ordinary way."""
        with suppress(OSError):
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    async def run(self) -> None:
        """Connect to the target and pump until one direction breaks or both have ended."""
        try:
            if self._proxy.faults.swallow_requests:
                await self._discard()
                return
            self._server = await _connect(self._proxy.target)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(_Pump(self, self._client, self._server, is_reply=False).run())
                pumps.create_task(_Pump(self, self._server, self._client, is_reply=True).run())
        except* _Ended:
            pass
        except* OSError:
            self.reset()
        finally:
            self._client.close()
            if self._server:
                self._server.close()

    async def _discard(self) -> None:
        """A hung server costs nothing behind it: no connection to the target, which may be down itself."""
        self.lost_bytes = True
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(self._client, CHUNK_BYTES):
            self._proxy.requests.read += len(data)

    @property
    def faults(self) -> Faults:
        return self._proxy.faults

    def traffic(self, *, is_reply: bool) -> Traffic:
        return self._proxy.replies if is_reply else self._proxy.requests

    def reply_bytes_used(self, count: int) -> bool:
        return self._proxy.reply_bytes_used(count)

    async def sleep(self, seconds: float) -> None:
        """Sleep, or less when the faults change."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # `wait_for` can lose a cancellation, until Python 3.12
                await self._changed.wait()


class _Ended(Exception):  # noqa: N818 - asked for, not an error
    """Close both sides now: the client has gone, or has got as much as `cut_reply_after` allowed."""


class _Pump:
    """One direction: a reader that stamps chunks with their arrival, a writer that delivers or loses them."""

    def __init__(
        self, connection: ProxiedConnection, source: socket.socket, sink: socket.socket, *, is_reply: bool
    ) -> None:
        self._connection = connection
        self._source = source
        self._sink = sink
        self._is_reply = is_reply
        self._traffic = connection.traffic(is_reply=is_reply)
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_IN_FLIGHT)
        self._has_hole = False
        """True once bytes were lost: nothing after them is delivered, as it would be taken for them."""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as halves:
            halves.create_task(self._read())
            halves.create_task(self._write())

    async def _read(self) -> None:
        data = None
        while data != END:
            data = await self._loop.sock_recv(self._source, CHUNK_BYTES)
            self._traffic.read += len(data)
            await self._chunks.put((self._loop.time(), data))

    async def _write(self) -> None:
        data = None
        while data != END:
            arrived, data = await self._chunks.get()
            await self._wait_out_delay(arrived)
            if self._swallows():
                self._swallow(data)
            elif data == END:
                self._sink.shutdown(socket.SHUT_WR)
            else:
                await self._deliver(data)

    def _swallow(self, data: bytes) -> None:
        """A server's end stays unseen; a client that gives up takes the connection behind it along."""
        self._has_hole = self._connection.lost_bytes = True
        if data == END and not self._is_reply:
            raise _Ended

    async def _wait_out_delay(self, arrived: float) -> None:
        while (left := arrived + self._delay() - self._loop.time()) > 0:
            await self._connection.sleep(left)

    async def _deliver(self, data: bytes) -> None:
        while data:
            piece, data = self._next_piece(data)
            is_last = self._is_reply and self._connection.reply_bytes_used(len(piece))
            await self._loop.sock_sendall(self._sink, piece)
            self._traffic.forwarded += len(piece)
            if is_last:
                raise _Ended
            if rate := self._rate():
                await self._connection.sleep(len(piece) / rate)

    def _next_piece(self, data: bytes) -> tuple[bytes, bytes]:
        size = len(data)
        if rate := self._rate():
            size = max(1, int(rate * DRIP_INTERVAL))
        left = self._connection.faults.reply_bytes_left
        if self._is_reply and left is not None:
            size = min(size, left)
        return data[:size], data[size:]

    def _delay(self) -> float:
        faults = self._connection.faults
        return faults.reply_delay if self._is_reply else faults.request_delay

    def _rate(self) -> float | None:
        faults = self._connection.faults
        return faults.reply_rate if self._is_reply else faults.request_rate

    def _swallows(self) -> bool:
        faults = self._connection.faults
        return self._has_hole or (faults.swallow_replies if self._is_reply else faults.swallow_requests)


def _ready(connection: socket.socket) -> socket.socket:
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


async def _connect(target: tuple[str, int]) -> socket.socket:
    connection = _ready(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    try:
        await asyncio.get_running_loop().sock_connect(connection, target)
    except BaseException:  # cancelled, too: no socket stays open
        connection.close()
        raise
    return connection
