"""What a worker is told, and the settings that all of them have."""

from __future__ import annotations

from dataclasses import dataclass

WRITERS = 2
LEASE_SECONDS = 0.5
LOAD_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True)
class Options:
    """One worker.

    Attributes:
        redis_url: Where it reaches Redis, perhaps through a proxy.
        bare_port: Redis itself, for what a bare redis-cli would do.
        database_url: PostgreSQL.
        journal: The file to write to.
        seed: For its dice.
        writers: How many tasks change and invalidate.
        defect: One of `DEFECTS`, which the checker must find; "" for none.
    """

    redis_url: str
    bare_port: int
    database_url: str
    journal: str
    seed: int
    writers: int = WRITERS
    defect: str = ""
