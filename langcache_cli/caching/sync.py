"""The default cache for code without an event loop: Celery tasks, Django views, scripts.

```python
from langcache_cli.caching import cached
from langcache_cli.caching.sync import invalidate_tags


@cached(key_prefix="vocabulary", tags=("word:{word_id}",))
def get_word(word_id: int) -> Word: ...


get_word(7)
invalidate_tags("word:7")
```

Each function blocks the calling thread. It does what that of the same name in `langcache_cli.caching` does,
or the method of `Cache`, with the same keys: both kinds of code share their entries. `Cache.sync` has the
same for a cache with settings of its own, and ``get_word.sync(7)`` calls an ``async def`` function.

Raises:
    RuntimeError: From every function, if an event loop runs on the calling thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langcache_cli.caching._front.default import get_default_cache
from langcache_cli.caching._statistics.report import CacheStats

__all__ = [
    "close",
    "delete",
    "get",
    "get_cache_stats",
    "get_many",
    "invalidate_cache",
    "invalidate_keys",
    "invalidate_tags",
    "invalidate_type",
    "set",
    "set_many",
]


def invalidate_cache(pattern: str) -> int:
    """Remove every key that matches a pattern such as ``cache:*vocabulary*``; see `Cache.invalidate`."""
    return get_default_cache().sync.invalidate(pattern)


def invalidate_keys(*keys: str) -> int:
    """Remove full keys, as ``key_for`` of a cached function returns them; see `Cache.invalidate_keys`."""
    return get_default_cache().sync.invalidate_keys(keys)


def invalidate_tags(*tags: str) -> int:
    """Invalidate every entry that has one of these tags, in one step; see `Cache.invalidate_tags`."""
    return get_default_cache().sync.invalidate_tags(*tags)


def invalidate_type(name: str) -> int:
    """Remove every entry of a cache type; see `Cache.invalidate_type`."""
    return get_default_cache().sync.invalidate_type(name)


def get_cache_stats() -> CacheStats:
    """The numbers of a health page; see `Cache.stats`."""
    return get_default_cache().sync.stats()


def get(key: str, default: Any = None) -> Any:
    """The value stored with `set`; see `Cache.get`."""
    return get_default_cache().sync.get(key, default)


def get_many(keys: Sequence[str]) -> dict[str, Any]:
    """The values of several keys, `MISSING` for those that have none; see `Cache.get_many`."""
    return get_default_cache().sync.get_many(keys)


def set(key: str, value: Any, *, ttl: float | None = None) -> bool:  # noqa: A001 - as the method is called
    """Store a plain JSON value; see `Cache.set`."""
    return get_default_cache().sync.set(key, value, ttl=ttl)


def set_many(values: Mapping[str, Any], *, ttl: float | None = None) -> bool:
    """Store several plain JSON values; see `Cache.set_many`."""
    return get_default_cache().sync.set_many(values, ttl=ttl)


def delete(*keys: str) -> int:
    """Remove keys given as for `set`, or full keys; see `Cache.delete`."""
    return get_default_cache().sync.delete(*keys)


def close() -> None:
    """End what the background event loop holds for the default cache; the next call starts again."""
    get_default_cache().sync.close()
