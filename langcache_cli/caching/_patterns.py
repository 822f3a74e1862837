"""Clearing many keys by pattern: SCAN and UNLINK, never outside the namespace.

No path leads to FLUSHDB, and a pattern that could match another application's keys is refused
before anything is sent.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Sequence

from langcache_cli.caching._errors import PatternError
from langcache_cli.caching._server import Server

KEYS_PER_SCAN = 1000
"""About a millisecond of the server's time a step: quick, without starving its other clients."""

_SPECIAL = re.compile(r"([*?\[\]\\^-])")


def escape_pattern(text: str) -> str:
    """Make ``text`` match only itself inside a Redis pattern."""
    return _SPECIAL.sub(r"\\\1", text)


def require_inside(namespace: str, pattern: str) -> str:
    """The pattern, if every key that it can match belongs to the namespace.

    Raises:
        PatternError: It does not begin with ``{namespace}:``.
    """
    if not pattern.startswith(f"{namespace}:"):
        raise PatternError(
            f"the pattern {pattern!r} reaches outside the namespace {namespace!r}; begin it with '{namespace}:'"
        )
    return pattern


def patterns_of_prefixes(namespace: str, prefixes: Sequence[str]) -> tuple[str, re.Pattern[bytes]]:
    """One SCAN pattern for several prefixes, and the exact test for the keys that it finds."""
    common = os.path.commonprefix(list(prefixes))  # noqa: RUF071 - of characters is what is wanted
    wide = f"{escape_pattern(f'{namespace}:{common}')}*"
    exact = "|".join(re.escape(f"{namespace}:{prefix}:") for prefix in prefixes)
    return wide, re.compile(exact.encode("utf-8"))


async def scan(
    server: Server, pattern: str, *, only: re.Pattern[bytes] | None = None
) -> AsyncIterator[list[bytes]]:
    """Yield batches of the keys that match; ones that come and go meanwhile may be missing.

    Args:
        server: Where to look.
        pattern: A Redis glob.
        only: Skip keys that do not begin with this.
    """
    cursor = b"0"
    while True:
        cursor, keys = await server.call("SCAN", cursor, "MATCH", pattern, "COUNT", KEYS_PER_SCAN)
        found = [key for key in keys if only is None or only.match(key)]
        if found:
            yield found
        if cursor == b"0":
            return


async def unlink(server: Server, pattern: str, *, only: re.Pattern[bytes] | None = None) -> int:
    """Remove the keys that match and return how many there were.

    Every load of such a key that was under way when this began is refused when it wants to store.
    """
    removed = 0
    async for keys in scan(server, pattern, only=only):
        removed += await server.call("UNLINK", *keys)
    return removed
