"""What somebody with a bare redis-cli does, ``-c`` on a cluster: no part of the cache knows of it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.harness.resp import RespConnection, RespError

HOPS = 5
SECONDS = 1.0


def bare_delete(ports: Sequence[int], key: str) -> None:
    """``DEL`` of a key, on the server or on the node of a cluster that has it.

    Raises:
        Exception: It was not confirmed.
    """
    port, asking = _first_that_answers(ports), False
    for _ in range(HOPS):
        with RespConnection(port, timeout=SECONDS) as connection:
            try:
                if asking:
                    connection.call("ASKING")
                connection.call("DEL", key)
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
