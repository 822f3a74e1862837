"""A server that calls itself Valkey: a Redis whose reply to INFO is changed on its way."""

import re
import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.harness.ports import LOCALHOST

VERSION = "8.10.10"
_CHUNK_BYTES = 65536
_REPLACED = re.compile(rb"redis_git_sha1:[0-9a-f]{8}\r\nredis_git_dirty:\d")
_BY = f"valkey_version:{VERSION}\r\nserver_name:valkey".encode()  # as long: a reply begins with its length


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    target = 0


class _Connection(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        client = self.request
        with socket.create_connection((LOCALHOST, self.server.target)) as redis:
            while True:
                for side in select.select([client, redis], [], [])[0]:
                    data = side.recv(_CHUNK_BYTES)
                    if not data:
                        return
                    if side is client:
                        redis.sendall(data)
                    else:
                        client.sendall(_REPLACED.sub(_BY, data))


@contextmanager
def valkey_front(port: int) -> Iterator[int]:
    """A port that leads to the Redis on ``port``; there it says that it is Valkey `VERSION`."""
    with _Server((LOCALHOST, 0), _Connection) as server:
        server.target = port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
