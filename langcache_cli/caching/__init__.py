"""The caching core: all that a backend imports.

Importing it connects to nothing and reads nothing.
"""

from langcache_cli.caching._arguments import argument_text
from langcache_cli.caching._bulk import WarmCounts, warm
from langcache_cli.caching._cache import Cache
from langcache_cli.caching._cache_types import CacheType, CacheTypes
from langcache_cli.caching._codec import UncacheableValueError
from langcache_cli.caching._default import (
    after_commit,
    cached,
    close_redis_client,
    default_warmers,
    get_cache_stats,
    get_default_cache,
    get_redis_client,
    invalidate_cache,
    invalidate_tags,
    set_default_cache,
)
from langcache_cli.caching._errors import (
    AuthenticationFailedError,
    CacheError,
    CacheUnavailableError,
    ConfigurationError,
    PatternError,
    ServerLoadingError,
    ServerReplyError,
    UnknownCacheTypeError,
)
from langcache_cli.caching._events import CacheEvent
from langcache_cli.caching._function import CachedFunction
from langcache_cli.caching._many import CachedMany, cached_many
from langcache_cli.caching._namespace import Namespace
from langcache_cli.caching._pace import Pace
from langcache_cli.caching._patterns import escape_pattern
from langcache_cli.caching._prometheus import prometheus_text
from langcache_cli.caching._report import CacheReport, CacheStats, Numbers, ServerReport, readable_bytes
from langcache_cli.caching._settings import CacheSettings, load_settings
from langcache_cli.caching._statistics import Label
from langcache_cli.caching._values import MISSING
from langcache_cli.caching._warmers import Warmer

__all__ = [
    "MISSING",
    "AuthenticationFailedError",
    "Cache",
    "CacheError",
    "CacheEvent",
    "CacheReport",
    "CacheSettings",
    "CacheStats",
    "CacheType",
    "CacheTypes",
    "CacheUnavailableError",
    "CachedFunction",
    "CachedMany",
    "ConfigurationError",
    "Label",
    "Namespace",
    "Numbers",
    "Pace",
    "PatternError",
    "ServerLoadingError",
    "ServerReplyError",
    "ServerReport",
    "UncacheableValueError",
    "UnknownCacheTypeError",
    "WarmCounts",
    "Warmer",
    "after_commit",
    "argument_text",
    "cached",
    "cached_many",
    "close_redis_client",
    "default_warmers",
    "escape_pattern",
    "get_cache_stats",
    "get_default_cache",
    "get_redis_client",
    "invalidate_cache",
    "invalidate_tags",
    "load_settings",
    "prometheus_text",
    "readable_bytes",
    "set_default_cache",
    "warm",
]
