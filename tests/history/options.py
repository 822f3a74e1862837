"""What a worker is told, and the settings that all of them have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WRITERS = 2
LEASE_SECONDS = 0.5
LOAD_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True)
class Options:
    """One worker.

    Attributes:
        redis_url: Where it reaches Redis, perhaps through a proxy.
        database_url: PostgreSQL.
        journal: The file to write to.
        seed: For its dice.
        writers: How many tasks change and invalidate.
        bare_ports: Redis itself, or the nodes of a cluster, for what a bare redis-cli would do.
        sentinel_ports: Sentinels that say which server it is; ``bare_ports`` is empty then.
        behind_proxy: True if its way to Redis leads through a proxy.
        detours: The port of the proxy for that of each server that it would connect to.
        idle: True for one that reads only when it is told to: its connections are silent for long.
        defect: One of `DEFECTS`, which the checker must find; "" for none.
    """

    redis_url: str
    database_url: str
    journal: str
    seed: int
    writers: int = WRITERS
    bare_ports: Sequence[int] = ()
    sentinel_ports: Sequence[int] = ()
    behind_proxy: bool = False
    detours: Sequence[tuple[int, int]] = ()
    idle: bool = False
    defect: str = ""
