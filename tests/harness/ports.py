"""TCP ports on 127.0.0.1 that stay ours while the server behind them is down."""

import socket
import sys
from contextlib import suppress

LOCALHOST = "127.0.0.1"
BUS_OFFSET = 10000
"""A node of a Redis Cluster talks to the others on its port and so much."""

_LAST_PORT = 65535


class ReservedPort:
    """A port nobody else is given, held by a socket that is bound and does not listen.

    A server with SO_REUSEADDR (Redis, PostgreSQL, asyncio) binds beside it. While none does, connecting is
    refused, the port can't go to another process, and a client that retries can't connect to itself, which
    TCP allows when the system picks the target as source port. Elsewhere than on Linux the second bind
    fails, so nothing is held.

    With `bus=True` the port of the cluster bus is held as well.
    """

    def __init__(self, *, bus: bool = False) -> None:
        self._sockets = _bound_pair() if bus else [bound(0)]
        self.number: int = self._sockets[0].getsockname()[1]
        if sys.platform != "linux":
            self.release()

    def release(self) -> None:
        """Give the port back to the system."""
        for held in self._sockets:
            held.close()


def bound(number: int) -> socket.socket:
    """A socket that holds a port and does not listen; 0 is any port. OSError if it is taken."""
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((LOCALHOST, number))
    except BaseException:
        held.close()
        raise
    return held


def _bound_pair() -> list[socket.socket]:
    refused: list[socket.socket] = []  # held meanwhile, or the system would give the same port again
    try:
        while True:
            first = bound(0)
            number = first.getsockname()[1] + BUS_OFFSET
            if number <= _LAST_PORT:
                with suppress(OSError):
                    return [first, bound(number)]
            refused.append(first)
    finally:
        for held in refused:
            held.close()
