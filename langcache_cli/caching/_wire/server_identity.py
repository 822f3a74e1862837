"""Which server is at the other end of a connection, and whether it can have lost what it confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

QUESTIONS = (("INFO", "server"), ("INFO", "replication"))
"""Two commands: servers before Redis 7 answer for one section at a time."""


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """Equal for two connections only if no confirmed write can have been lost between them.

    Attributes:
        run_id: New at each start of the process, which may have lost its last writes.
        replication_id: New at each promotion, and that of the primary after each synchronisation with one.
        is_replica: It refuses writes, and lags behind its primary.
        primary: Host and port of that primary, as the replica names it; empty for a primary.
    """

    run_id: str
    replication_id: str = ""
    is_replica: bool = False
    primary: str = field(default="", compare=False)


def fields_of(reply: bytes) -> dict[str, str]:
    """A reply of lines ``name:value``, such as that to ``INFO``."""
    lines = (line.partition(":") for line in reply.decode("utf-8", "replace").splitlines())
    return {name.strip(): value.strip() for name, colon, value in lines if colon}


def identity_of(replies: Sequence[Any]) -> ServerIdentity | None:
    """The identity in the replies to `QUESTIONS`; None if the server does not give it, or may not."""
    fields = fields_of(b"\n".join(reply for reply in replies if isinstance(reply, bytes)))
    run_id = fields.get("run_id", "")
    if not run_id:
        return None
    is_replica = fields.get("role") == "slave"
    primary = f"{fields.get('master_host')}:{fields.get('master_port')}" if is_replica else ""
    return ServerIdentity(run_id, fields.get("master_replid", ""), is_replica, primary)
