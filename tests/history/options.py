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
        bare_ports: Redis itself, or the nodes of a cluster, for what a bare redis-cli would do.
        database_url: PostgreSQL.
        journal: The file to write to.
        seed: For its dice.
        writers: How many tasks change and invalidate.
        behind_proxy: True if ``redis_url`` leads through a proxy.
        defect: One of `DEFECTS`, which the checker must find; "" for none.
    """

    redis_url: str
    bare_ports: Sequence[int]
    database_url: str
    journal: str
    seed: int
    writers: int = WRITERS
    behind_proxy: bool = False
    defect: str = ""
