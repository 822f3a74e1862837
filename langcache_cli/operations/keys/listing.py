"""List keys of the namespace, up to a number of them or a span of time."""

from __future__ import annotations

from langcache_cli.caching import Cache, UnknownCacheTypeError
from langcache_cli.operations.overview.keys import KeyPage, find_keys

LONGEST_SECONDS = 5.0
"""How long one listing may search; its cursor says where to go on."""


async def list_keys(
    cache: Cache,
    *,
    text: str = "",
    type_name: str = "",
    limit: int,
    cursor: str = "",
    seconds: float = LONGEST_SECONDS,
) -> KeyPage:
    """Find keys of the namespace.

    Args:
        cache: Where.
        text: Only keys that contain it; nothing in it is special.
        type_name: Only keys of this type, or of this prefix if it belongs to no type.
        limit: How many at most.
        cursor: Of the listing before.
        seconds: How long to search at most.

    Raises:
        PatternError: The cursor, or the text, is malformed.
        UnknownCacheTypeError: There is no such type, nor a key with such a prefix.
        CacheError: Redis did not answer, or refused.
    """
    page = await find_keys(cache, text=text, type_name=type_name, cursor=cursor, limit=limit, seconds=seconds)
    types = cache.settings.types
    if type_name and type_name not in types and not (page["keys"] or page["cursor"] or text or cursor):
        raise UnknownCacheTypeError(type_name, known=tuple(types))
    return page
