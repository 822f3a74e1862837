"""What is probably wrong with a pattern that matched no key."""

from __future__ import annotations

import difflib

from langcache_cli.caching import CacheSettings


def probable_mistake(settings: CacheSettings, pattern: str) -> str | None:
    """What to write instead, in a sentence; None if the pattern may be right.

    The command does not know the functions of an application, only the cache types: a prefix that is in
    none of them may be right, unless it is the name of a type or nearly a known prefix.
    """
    _, _, rest = pattern.partition(":")
    prefix = rest.partition(":")[0].rstrip("*")
    prefixes = {name for item in settings.types.values() for name in item.prefixes}
    if not prefix or prefix in prefixes:
        return None
    if prefix in settings.types:
        return f"{prefix!r} is a cache type, and no key begins with it; use --type {prefix}"
    nearest = difflib.get_close_matches(prefix, sorted(prefixes), n=1)
    if not nearest:
        return None
    return (
        f"no cache type has the prefix {prefix!r}; keys begin with {settings.namespace}:PREFIX:FUNCTION:, "
        f"such as {settings.namespace}:{nearest[0]}:"
    )
