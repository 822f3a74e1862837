"""What a measurement was made with: versions, and the machine that asked."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import Self

from langcache_cli.caching.tooling import ServerReport

Load = tuple[float, float, float]
"""Processes that ran or waited to, on average over 1, 5 and 15 minutes."""


@dataclass(frozen=True, slots=True)
class Host:
    """The machine that asked, and how busy it was.

    Attributes:
        system: Operating system and architecture.
        cpus: Processors.
        load_before_processes: Before the run; None where the system does not say.
        load_after_processes: After the run.
    """

    system: str
    cpus: int
    load_before_processes: Load | None
    load_after_processes: Load | None

    @classmethod
    def now(cls, load_before: Load | None) -> Self:
        """This machine, after a run."""
        return cls(
            f"{platform.system()} {platform.machine()}", os.cpu_count() or 1, load_before, load_average()
        )


def load_average() -> Load | None:
    """The load at this moment; None where the system does not say."""
    try:
        return os.getloadavg()
    except (AttributeError, OSError):  # Windows has no such function
        return None


def versions_of(server: ServerReport) -> dict[str, str]:
    """The versions of what took part, by name."""
    return {
        "python": platform.python_version(),
        "redis_server": server.version,
        **{name: version(name) for name in ("langcache-cli", "redis", "sqlalchemy")},
    }
