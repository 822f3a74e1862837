"""The module-level names: they act on one default cache, made from the environment at first use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from langcache_cli.caching._front.cache import Cache
from langcache_cli.caching._front.cached_function import CachedFunction
from langcache_cli.caching._front.decorator import decorator
from langcache_cli.caching._front.registry import Registry
from langcache_cli.caching._functions.spec import Options
from langcache_cli.caching._functions.warmer import Warmer
from langcache_cli.caching._statistics.report import CacheStats

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session

P = ParamSpec("P")
T = TypeVar("T")

_registry = Registry()
_default: Cache | None = None
_lock = threading.Lock()


def get_default_cache() -> Cache:
    """The cache that `cached` functions use.

    Raises:
        ConfigurationError: It is made now, and a setting has a value that is not allowed.
    """
    global _default  # noqa: PLW0603 - the one default, and the one place that makes it
    default = _default  # read once: another thread may replace it at any moment
    if default is not None:
        return default
    with _lock:  # threads that begin together must not make two, one of which nobody would close
        if _default is None:
            _default = Cache()
        return _default


def set_default_cache(cache: Cache | None) -> Cache | None:
    """Use another cache from now on; None makes the next one from the environment again.

    Returns:
        The one before, which the caller closes or puts back.
    """
    global _default
    before, _default = _default, cache
    return before


def cached(
    *,
    key_prefix: str,
    ttl: float | None = None,
    stale_ttl: float = 0.0,
    early_refresh: float = 0.0,
    tags: Sequence[str] = (),
    local_ttl: float = 0.0,
    key: str | None = None,
    ignore: Sequence[str] = (),
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], CachedFunction[P, T]]:
    """Cache what an ``async def`` function or method returns.

    The return annotation decides how values are stored: a hit has the value and the types of a miss.
    Without one only plain JSON values are cached. A value that would not survive is not cached; its
    caller still gets it.

    Args:
        key_prefix: Second part of every key; also decides the cache type.
        ttl: Seconds that a value is fresh; without it the TTL of the cache type.
        stale_ttl: Seconds after that in which the old value is still served, while one call of the fleet
            loads a new one, or fails to. That load runs in the background, or, in a function that takes a
            database session, as part of the call that begins it. An invalidated value is never served.
        early_refresh: Load a new value before the old one has ended, likelier the nearer the end and the
            longer a load takes (XFetch): 0 never, 1 is the usual.
        tags: Templates such as ``"word:{word_id}"`` of the labels by which `invalidate_tags` removes
            entries together. Their parameters must be part of the key.
        local_ttl: Seconds that an entry may also be kept in the memory of this process, where a hit costs a
            few microseconds. Redis says at once what has changed; until it is heard, usually within a
            millisecond, a change of another process is not seen here.
        key: Template for the rest of the key, such as ``"user:{user_id}"``; without it all arguments,
            but for ``self``, database sessions and ignored ones.
        ignore: Parameters that do not change the value.

    Raises:
        TypeError: When the module is imported: not an ``async def`` function, a return type that cannot
            be cached, an unknown parameter, keys shared with another function.
    """
    options = Options(ttl, stale_ttl, early_refresh, tags, local_ttl)
    return decorator(
        get_default_cache, _registry, key_prefix=key_prefix, key=key, ignore=ignore, options=options
    )


def default_warmers() -> list[Warmer]:
    """The warmers of all functions that use the default cache."""
    return _registry.warmers()


async def invalidate_cache(pattern: str) -> int:
    """Remove every key that matches a pattern such as ``cache:*vocabulary*``; see `Cache.invalidate`."""
    return await get_default_cache().invalidate(pattern)


async def invalidate_tags(*tags: str) -> int:
    """Invalidate every entry that has one of these tags, in one step; see `Cache.invalidate_tags`."""
    return await get_default_cache().invalidate_tags(*tags)


def after_commit(
    session: AsyncSession | async_scoped_session[Any],
    *keys: str,
    tags: Sequence[str] = (),
    patterns: Sequence[str] = (),
    types: Sequence[str] = (),
) -> None:
    """Invalidate when the transaction of ``session`` commits; see `Cache.after_commit`."""
    get_default_cache().after_commit(session, *keys, tags=tags, patterns=patterns, types=types)


async def get_cache_stats() -> CacheStats:
    """The numbers of a health page; see `Cache.stats`."""
    return await get_default_cache().stats()


async def get_redis_client() -> Redis:
    """A redis-py client for this event loop; see `Cache.client`."""
    return get_default_cache().client()


async def close_redis_client() -> None:
    """Close the default cache for this event loop; see `Cache.aclose`."""
    if _default is not None:
        await _default.aclose()
