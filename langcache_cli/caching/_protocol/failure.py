r"""The sign that a load has failed, or that its value cannot be stored: for those who wait for it elsewhere.

It stands under the key for a second, ``lc1 error id=... created=...\n{json}``, with the token of the load as
its id. It is no value: the next call loads. Other versions of this package take it for foreign bytes, a miss.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from langcache_cli.caching._clock import ID_DIGITS
from langcache_cli.caching._protocol import header

FAILURE_MS = 1000
"""How long it stays. Those who wait look every 0.1 s."""

_FAILURE = re.compile(rb"%b([0-9a-f]{%d}) created=[0-9]{1,15}\n" % (header.FAILED.encode("ascii"), ID_DIGITS))


class Failure(NamedTuple):
    """How a load ended that stored no value.

    Attributes:
        id: The token of the load.
        error: Its error, as `describe` wrote it; empty if it cannot be passed on, or if there is none.
    """

    id: str
    error: bytes = b""

    def to_bytes(self, created_ms: int) -> bytes:
        """The bytes to store."""
        return f"{header.FAILED}{self.id} created={created_ms}\n".encode("ascii") + self.error


def parse_failure(stored: bytes) -> Failure | None:
    """The failure in the bytes under a key; None for anything else."""
    fields = _FAILURE.match(stored)
    return Failure(fields[1].decode("ascii"), stored[fields.end() :]) if fields is not None else None
