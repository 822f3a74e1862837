"""The caching core: everything a backend imports.

Importing it opens no connection and reads no setting. Code without an event loop finds the
functions once more, each blocking, in `langcache_cli.caching.sync`. What operates a cache from outside, such
as the command ``langcache``, finds more in `langcache_cli.caching.tooling`; unit tests find theirs in
`langcache_cli.caching.testing`.
"""

from langcache_cli.caching._config.cache_types import CacheType, CacheTypes
from langcache_cli.caching._config.settings import CacheSettings
from langcache_cli.caching._errors import (
    AuthenticationFailedError,
    CacheError,
    CacheUnavailableError,
    ConfigurationError,
    PatternError,
    ServerLoadingError,
    ServerReplyError,
    UncacheableValueError,
    UnknownCacheTypeError,
)
from langcache_cli.caching._front.cache import Cache
from langcache_cli.caching._front.default import (
    after_commit,
    cached,
    close_redis_client,
    get_cache_stats,
    get_default_cache,
    get_redis_client,
    invalidate_cache,
    invalidate_tags,
    invalidates,
    set_default_cache,
)
from langcache_cli.caching._front.functions.cached_function import CachedFunction
from langcache_cli.caching._front.functions.cached_many import CachedMany, cached_many
from langcache_cli.caching._front.modes.recorder import CallRecord
from langcache_cli.caching._front.plain_values import MISSING
from langcache_cli.caching._front.sync.cached_sync_function import CachedSyncFunction
from langcache_cli.caching._functions.options import CachedOptions
from langcache_cli.caching._keys.argument_text import argument_text
from langcache_cli.caching._keys.selection import escape_pattern
from langcache_cli.caching._statistics.events import CacheEvent
from langcache_cli.caching._statistics.report import CacheStats

__all__ = [
    "MISSING",
    "AuthenticationFailedError",
    "Cache",
    "CacheError",
    "CacheEvent",
    "CacheSettings",
    "CacheStats",
    "CacheType",
    "CacheTypes",
    "CacheUnavailableError",
    "CachedFunction",
    "CachedMany",
    "CachedOptions",
    "CachedSyncFunction",
    "CallRecord",
    "ConfigurationError",
    "PatternError",
    "ServerLoadingError",
    "ServerReplyError",
    "UncacheableValueError",
    "UnknownCacheTypeError",
    "after_commit",
    "argument_text",
    "cached",
    "cached_many",
    "close_redis_client",
    "escape_pattern",
    "get_cache_stats",
    "get_default_cache",
    "get_redis_client",
    "invalidate_cache",
    "invalidate_tags",
    "invalidates",
    "set_default_cache",
]
