"""What somebody with a bare redis-cli does, ``-c`` on a cluster: no part of the cache knows of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.harness.resp import RespConnection, RespError
from tests.harness.sentinels import PASSWORD, SENTINEL_PASSWORD, SERVICE
from tests.history.options import Options

HOPS = 5
SECONDS = 1.0


def bare_delete(options: Options, key: str) -> None:
    """``DEL`` of a key, on the server or on the node of a cluster that has it.

    Nothing is promised of a ``DEL`` that removes one of the two copies which a lost MIGRATE has left.
    ``EXISTS`` shows that the slot is on its way: the other copy is removed as well.

    Raises:
        Exception: It was not confirmed.
    """
    if options.sentinel_ports:
        port, asking = _primary(options.sentinel_ports), False
    else:
        port, asking = _first_that_answers(options.bare_ports), False
    for _ in range(HOPS):
        with RespConnection(port, timeout=SECONDS) as connection:
            try:
                if options.sentinel_ports:
                    connection.call("AUTH", PASSWORD)
                if asking:
                    connection.call("ASKING")
                connection.call("DEL", key)
                if not asking and not options.sentinel_ports:
                    connection.call("EXISTS", key)
            except RespError as error:
                kind, *where = str(error).split(" ")
                if kind not in ("MOVED", "ASK"):
                    raise
                port, asking = int(where[1].rpartition(":")[2]), kind == "ASK"
            else:
                return
    raise RuntimeError(f"redirected {HOPS} times")


def _first_that_answers(ports: Sequence[int]) -> int:
    for port in ports[:-1]:
        try:
            with RespConnection(port, timeout=SECONDS) as connection:
                connection.call("PING")
        except (OSError, RespError):
            continue
        return port
    return ports[-1]


def _primary(sentinel_ports: Sequence[int]) -> int:
    """The port that the sentinel names which knows of the latest change."""
    views: list[dict[bytes, bytes]] = []
    for port in sentinel_ports:
        try:
            with RespConnection(port, timeout=SECONDS) as connection:
                connection.call("AUTH", SENTINEL_PASSWORD)
                reply: Any = connection.call("SENTINEL", "MASTER", SERVICE)
        except (OSError, RespError):
            continue
        views.append(dict(zip(reply[::2], reply[1::2], strict=True)))
    return int(max(views, key=lambda view: int(view[b"config-epoch"]))[b"port"])
