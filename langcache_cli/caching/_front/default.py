"""The module-level names: they act on one default cache, which is made from the environment at first use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from langcache_cli.caching._fork import ForkSafeLock
from langcache_cli.caching._front.cache import Cache
from langcache_cli.caching._front.functions.cached_function import CachedFunction
from langcache_cli.caching._front.functions.decorator import Decorator, decorator
from langcache_cli.caching._front.functions.registry import Registry
from langcache_cli.caching._front.writes.invalidates import invalidating
from langcache_cli.caching._front.writes.targets import Writers
from langcache_cli.caching._functions.options import CachedOptions
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._functions.warmer import Warmer
from langcache_cli.caching._statistics.report import CacheStats

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
    from sqlalchemy.orm import Session

F = TypeVar("F", bound=Callable[..., Any])

_registry = Registry()
_default: Cache | None = None
_lock = ForkSafeLock()


def get_default_cache() -> Cache:
    """The cache that `cached` functions use.

    Raises:
        ConfigurationError: It is made now, and a setting has a value that is not allowed.
    """
    global _default  # noqa: PLW0603 - the one default, and the one place that makes it
    default = _default  # read once: another thread may replace it at any moment
    if default is not None:
        return default
    with _lock:  # two threads must not make two caches, one of which would never be closed
        if _default is None:
            _default = Cache()
        return _default


def set_default_cache(cache: Cache | None) -> Cache | None:
    """Use another cache from now on; None makes the next one from the environment again.

    Returns:
        The previous one, which the caller closes or puts back.
    """
    global _default
    before, _default = _default, cache
    return before


def cached(
    **options: Unpack[CachedOptions],
) -> Decorator:
    """Cache what a function or method returns: an ``async def`` one, or a plain ``def`` one.

    ```python
    @cached(key_prefix="vocabulary", ttl=3600, tags=("word:{word_id}",))
    async def get_vocabulary_word(word_id: int, db: AsyncSession) -> Word | None: ...
    ```

    The return annotation decides how values are stored: a hit has the value and the types of a miss. Without
    one only plain JSON values are cached. A value that would not come back the same is not cached; its caller
    still gets it. A plain ``def`` function becomes a `CachedSyncFunction`, which blocks its thread.

    Args:
        options: `CachedOptions` says what there is, and what each means.

    Raises:
        TypeError: When the module is imported: a generator function, a return type that cannot be cached, an
            unknown option or parameter, keys shared with another function.
    """
    return decorator(get_default_cache, _registry, options)


def default_registry() -> Registry:
    """The functions that use the default cache."""
    return _registry


def invalidates(
    *functions: Writers,
    tags: Sequence[str] = (),
    patterns: Sequence[str] = (),
    types: Sequence[str] = (),
    session: str | None = None,
) -> Callable[[F], F]:
    """Decorate a function that writes: what it has made out of date is removed when it has returned.

    ```python
    @invalidates(get_word, tags=("level:{level}",))
    async def edit_word(word_id: int, level: str, db: AsyncSession) -> None: ...
    ```

    If its session is in a transaction then, that happens again when it commits; never when it raises. See
    `Cache.invalidates`.

    Args:
        functions: Cached functions. The parameters that their keys need are those of the same names.
        tags: Templates of tags over the function's parameters, and over ``{result}``.
        patterns: Templates of patterns.
        types: Cache types.
        session: Where the session is, such as ``"{self.db}"``, if it is no parameter.

    Raises:
        TypeError: When the module is imported: a parameter is missing or unknown.
    """
    return invalidating(
        get_default_cache, functions, tags=tags, patterns=patterns, types=types, session=session
    )


def default_warmers() -> list[Warmer[CachedFunction[Any, Any]]]:
    """The warmers of all functions that use the default cache."""
    return _registry.warmers()


def default_functions() -> list[FunctionSpec]:
    """All functions that use the default cache."""
    return _registry.specs()


async def invalidate_cache(pattern: str) -> int:
    """Remove every key that matches a pattern such as ``cache:*vocabulary*``; see `Cache.invalidate`."""
    return await get_default_cache().invalidate(pattern)


async def invalidate_tags(*tags: str) -> int:
    """Invalidate every entry that has one of these tags, in one step; see `Cache.invalidate_tags`."""
    return await get_default_cache().invalidate_tags(*tags)


def after_commit(
    session: AsyncSession | async_scoped_session[Any] | AsyncConnection | Session | Connection,
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
    """A redis-py client for this event loop, once Redis has answered it; see `Cache.client`.

    The first call asks Redis, later ones do not. None does with ``REDIS_ENABLED=false`` or a cache in memory.

    Raises:
        redis.exceptions.RedisError: Redis did not answer within five seconds. The next call asks again.
    """
    return await get_default_cache().runtime().client.answering()


async def close_redis_client() -> None:
    """Close the default cache for this event loop; see `Cache.aclose`."""
    if _default is not None:
        await _default.aclose()
