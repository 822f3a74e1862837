"""Clearing many keys by pattern: SCAN and UNLINK, never outside the namespace.

No path leads to FLUSHDB.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from langcache_cli.caching._server import Server

KEYS_PER_SCAN = 1000
"""About a millisecond of the server's time a step: quick, without starving its other clients."""

_SPECIAL = re.compile(r"([*?\[\]\\^-])")


def escape_pattern(text: str) -> str:
    """Make ``text`` match only itself inside a Redis pattern."""
    return _SPECIAL.sub(r"\\\1", text)


@dataclass(frozen=True, slots=True)
class Selection:
    """Keys to find.

    Attributes:
        pattern: A Redis glob, applied by the server.
        only: What a key must begin with besides; None for nothing more.
    """

    pattern: str
    only: re.Pattern[bytes] | None = None


def of_prefixes(namespace: str, prefixes: Sequence[str]) -> Selection:
    """The keys of several prefixes, found in one pass: a wide pattern, and an exact test."""
    common = os.path.commonprefix(list(prefixes))  # noqa: RUF071 - of characters is what is wanted
    exact = "|".join(re.escape(f"{namespace}:{prefix}:") for prefix in prefixes)
    return Selection(f"{escape_pattern(f'{namespace}:{common}')}*", re.compile(exact.encode("utf-8")))


async def scan(server: Server, selection: Selection) -> AsyncIterator[list[bytes]]:
    """Yield batches of the selected keys; ones that come and go meanwhile may be missing."""
    cursor = b"0"
    while True:
        cursor, keys = await server.call("SCAN", cursor, "MATCH", selection.pattern, "COUNT", KEYS_PER_SCAN)
        found = [key for key in keys if selection.only is None or selection.only.match(key)]
        if found:
            yield found
        if cursor == b"0":
            return


async def unlink(server: Server, selection: Selection) -> int:
    """Remove the selected keys and return how many there were.

    Every load of such a key that was under way when this began is refused when it wants to store.
    """
    removed = 0
    async for keys in scan(server, selection):
        removed += await server.call("UNLINK", *keys)
    return removed
