"""A TCP proxy that a test can make slow, deaf, broken or absent while connections run through it."""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from types import TracebackType
from typing import Any, Literal, Self

from tests.harness.polling import eventually
from tests.harness.ports import LOCALHOST, ReservedPort
from tests.harness.proxy_connection import Faults, ProxiedConnection, Traffic

Direction = Literal["both", "requests", "replies"]
CALL_SECONDS = 10.0
BACKLOG = 512


class FaultProxy:
    """Forwards `127.0.0.1:port` to a target, from a thread and an event loop of its own.

    So it works from sync tests and while a test's own event loop is blocked. Every fault may be switched
    from any thread; when the call returns it is in force for open and new connections alike. Faults add up
    until `heal`.

    `requests` and `replies` count bytes (`.read` from one side, `.forwarded` to the other), `connections`
    how many were accepted, `open_connections` how many still are.
    """

    host = LOCALHOST

    def __init__(self, target_port: int, target_host: str = LOCALHOST) -> None:
        self.target = (target_host, target_port)
        self.requests = Traffic()
        self.replies = Traffic()
        self.connections = 0
        self._faults = Faults()
        self._port = ReservedPort()
        self._open: dict[ProxiedConnection, asyncio.Task[None]] = {}
        self._listener: socket.socket | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)

    @property
    def port(self) -> int:
        return self._port.number

    @property
    def faults(self) -> Faults:
        """What is wrong at the moment."""
        return self._faults

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def start(self) -> Self:
        """Listen; connecting works when this returns."""
        self._thread.start()
        self._call(self._listen())
        return self

    def close(self) -> None:
        """Reset what is open, stop listening, end the thread. Safe to call twice."""
        if self._loop.is_closed():
            return
        if self._thread.is_alive():
            self._call(self._refuse())
            self._call(self._cut())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CALL_SECONDS)
        self._loop.close()
        self._port.release()

    # -- faults --

    def delay(self, seconds: float, *, direction: Direction = "both") -> None:
        """Deliver every chunk `seconds` after it came: latency, so pipelined chunks travel together.

        In both directions a round trip takes twice `seconds` longer.
        """
        self._change(
            request_delay=seconds if direction != "replies" else self._faults.request_delay,
            reply_delay=seconds if direction != "requests" else self._faults.reply_delay,
        )

    def slow_drip(self, bytes_per_second: float, *, direction: Direction = "replies") -> None:
        """Deliver at this rate in small pieces: a server that never quite hangs."""
        self._change(
            request_rate=bytes_per_second if direction != "replies" else self._faults.request_rate,
            reply_rate=bytes_per_second if direction != "requests" else self._faults.reply_rate,
        )

    def swallow(self) -> None:
        """Accept and read, forward nothing either way: a hung server."""
        self._change(swallow_requests=True, swallow_replies=True)

    def swallow_replies(self) -> None:
        """Requests arrive and take effect, replies are lost: did it happen?"""
        self._change(swallow_replies=True)

    def cut_reply_after(self, n_bytes: int) -> None:
        """Let `n_bytes` more bytes of replies through, then close that connection: it died in mid-reply.

        Once: the connections after it work. The count begins now and runs over all connections. The client
        can read all `n_bytes` and then sees the end of the stream.
        """
        self._change(reply_bytes_left=n_bytes)

    def cut(self) -> None:
        """Reset (RST) all open connections now, losing what is on its way; new ones work."""
        self._call(self._cut())

    def refuse(self) -> None:
        """Refuse new connections; open ones go on (`cut` them as well for a server that died)."""
        self._call(self._refuse())

    def heal(self) -> None:
        """Back to normal, on the same port.

        A connection that has lost bytes is reset: a stream with a hole is none.
        """
        self._call(self._heal())

    def wait_until(self, condition: Callable[["FaultProxy"], object], *, within: float = 5.0) -> None:
        """Poll `condition(proxy)`, as in `proxy.wait_until(lambda p: p.requests.forwarded > 0)`. Blocks."""
        eventually(lambda: condition(self), within=within)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- inside the thread --

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)

    def _change(self, **changes: Any) -> None:
        async def change() -> None:
            self._set_faults(replace(self._faults, **changes))

        self._call(change())

    def _set_faults(self, faults: Faults) -> None:
        self._faults = faults
        for connection in self._open:
            connection.faults_changed()

    async def _listen(self) -> None:
        if self._listener is not None:
            return
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((self.host, self.port))
        listener.listen(BACKLOG)
        self._loop.add_reader(listener, self._accept, listener)
        self._listener = listener

    def _accept(self, listener: socket.socket) -> None:
        """A callback, not a task: cancelling `sock_accept` can lose a connection it had already taken."""
        try:
            client, _ = listener.accept()
        except OSError:  # the client left before its turn
            return
        self.connections += 1
        connection = ProxiedConnection(client, self)
        task = self._loop.create_task(connection.run())
        self._open[connection] = task
        task.add_done_callback(lambda _: self._open.pop(connection, None))

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    async def _cut(self, connections: list[ProxiedConnection] | None = None) -> None:
        chosen = {c: t for c, t in self._open.items() if connections is None or c in connections}
        for connection, task in chosen.items():
            connection.reset()
            task.cancel()
        await asyncio.gather(*chosen.values(), return_exceptions=True)

    async def _heal(self) -> None:
        self._set_faults(Faults())  # first: while the others are cut, no further connection loses bytes
        await self._cut([connection for connection in self._open if connection.lost_bytes])
        await self._listen()

    def reply_bytes_used(self, count: int) -> bool:
        """For a connection: `count` reply bytes went out. True if they were the last before it must close."""
        left = self._faults.reply_bytes_left
        if left is None:
            return False
        self._set_faults(replace(self._faults, reply_bytes_left=left - count if left > count else None))
        return left <= count
