"""TCP ports on 127.0.0.1 that stay ours while the server behind them is down."""

import socket
import sys

LOCALHOST = "127.0.0.1"


class ReservedPort:
    """A port nobody else is given, held by a socket that is bound and does not listen.

    A server with SO_REUSEADDR (Redis, PostgreSQL, asyncio) binds beside it. While none does, connecting is
    refused, the port can't go to another process, and a client that retries can't connect to itself, which
    TCP allows when the system picks the target as source port. Elsewhere than on Linux the second bind
    fails, so nothing is held.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((LOCALHOST, 0))
        self.number: int = self._socket.getsockname()[1]
        if sys.platform != "linux":
            self._socket.close()

    def release(self) -> None:
        """Give the port back to the system."""
        self._socket.close()
