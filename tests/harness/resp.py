"""A Redis client of a hundred lines: what a bare redis-cli would send, without the library under test."""

import socket
from types import TracebackType
from typing import Self

Argument = str | bytes | int | float
Reply = str | bytes | int | None | list["Reply"]


class RespError(Exception):
    """The server answered with an error; the text begins with its code, such as `NOAUTH`."""


class RespConnection:
    """One connection speaking RESP2. Status replies are str, bulk replies bytes, nil is None.

    An error reply raises RespError.

    A read that times out raises TimeoutError and loses nothing: read again later, from where it stopped.
    ConnectionError when the other side closes; what came before stays in `received`.
    """

    def __init__(self, port: int, *, host: str = "127.0.0.1", timeout: float = 5.0) -> None:
        self._socket = socket.create_connection((host, port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def call(self, *arguments: Argument) -> Reply:
        """Send one command and read its reply."""
        self.send(*arguments)
        return self.read()

    def send(self, *arguments: Argument) -> None:
        """Send one command without reading."""
        self._socket.sendall(encode(*arguments))

    def read(self) -> Reply:
        """Read one reply."""
        reply, end = self._parse(0)
        self.received = self.received[end:]
        if isinstance(reply, RespError):
            raise reply
        return reply

    def closed_by_peer(self) -> bool:
        """Whether the other side closes or resets within the timeout; keeps what it reads."""
        try:
            while True:
                self._receive()
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _parse(self, start: int) -> tuple[Reply | RespError, int]:
        """The reply that begins at `start` and where it ends. Consumes nothing, so a retry starts afresh."""
        end = self._line_end(start)
        kind, text = self.received[start : start + 1], self.received[start + 1 : end]
        after = end + 2
        match kind:
            case b"+":
                return text.decode(), after
            case b"-":
                return RespError(text.decode()), after
            case b":":
                return int(text), after
            case b"$":
                return self._bulk(int(text), after)
            case b"*":
                return self._array(int(text), after)
        raise ValueError(f"not a RESP2 reply: {self.received[start:end]!r}")

    def _bulk(self, length: int, start: int) -> tuple[bytes | None, int]:
        if length < 0:
            return None, start
        while len(self.received) < start + length + 2:
            self._receive()
        return self.received[start : start + length], start + length + 2

    def _array(self, length: int, start: int) -> tuple[list[Reply] | None, int]:
        if length < 0:
            return None, start
        items: list[Reply] = []
        for _ in range(length):
            item, start = self._parse(start)
            items.append(str(item) if isinstance(item, RespError) else item)
        return items, start

    def _line_end(self, start: int) -> int:
        while (end := self.received.find(b"\r\n", start)) < 0:
            self._receive()
        return end

    def _receive(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.received += data


def encode(*arguments: Argument) -> bytes:
    """The bytes of one command."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in arguments]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
