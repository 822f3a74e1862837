"""The options of a local server and their defaults, for the command line and for `langcache_cli.servers`.

A module of its own because ``langcache --help`` shows them and must not load `langcache_cli.servers`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

DEFAULT_MAXMEMORY: Final = "256mb"
"""Memory limit as redis.conf writes it; the default in docker-compose.redis.yml is the same."""

DEFAULT_WAIT_SECONDS: Final = 20.0
"""How long a start waits for the server to answer."""


FEWEST_PRIMARIES: Final = 3
"""With fewer there is no majority that could replace a primary which fails."""


class Backend(StrEnum):
    """A way to start a server; AUTO takes the first that is available."""

    AUTO = "auto"
    COMPOSE = "compose"
    BINARY = "binary"
    EMBEDDED = "embedded"
