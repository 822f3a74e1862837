"""The counters that say why a call was a miss: the one table that `stats` and `doctor` judge by."""

from __future__ import annotations

from typing import Final

MISSES: Final = {
    "outdated": (
        "tag invalidated",
        "one of the entry's tags was invalidated: a narrower tag helps, a longer TTL does not",
    ),
    "joined": ("waited for another call", "another call loaded the value at that moment"),
    "load_errors": ("load errors", "the function behind the cache raised, so nothing was stored"),
    "uncacheable": (
        "uncacheable",
        "the value would not come back the same, or is too large for Redis; the log names the function",
    ),
    "declined": ("declined", "ttl= of the function said that the value must not be stored"),
    "too_large": ("too large", "the value was larger than max_bytes= of the function; the log names it"),
    "refused": ("refused", "an invalidation came while the value was loaded, so it was not stored"),
    "unstored": ("unstored", "Redis did not confirm that the value was stored"),
    "undecodable": ("undecodable", "the entry was of another schema, foreign or damaged"),
    "oversized": ("oversized", "the entry was larger than LANGCACHE_MAX_DECOMPRESSED_BYTES"),
}
"""The counters that are causes of misses: how each is called, and what one count means."""
