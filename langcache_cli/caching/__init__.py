"""The caching core: all that a backend imports.

Importing it connects to nothing and reads nothing.
"""

from langcache_cli.caching._config.cache_types import CacheType, CacheTypes
from langcache_cli.caching._config.settings import CacheSettings, load_settings
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
from langcache_cli.caching._front.cache import Cache
from langcache_cli.caching._front.cached_function import CachedFunction
from langcache_cli.caching._front.cached_many import CachedMany, cached_many
from langcache_cli.caching._front.default import (
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
from langcache_cli.caching._front.plain_values import MISSING
from langcache_cli.caching._front.prometheus_text import prometheus_text
from langcache_cli.caching._front.warm import WarmCounts, warm
from langcache_cli.caching._functions.warmer import Warmer
from langcache_cli.caching._keys.argument_text import argument_text
from langcache_cli.caching._keys.namespace import Namespace
from langcache_cli.caching._protocol.pace import Pace
from langcache_cli.caching._protocol.scanning import escape_pattern
from langcache_cli.caching._statistics.counters import Label
from langcache_cli.caching._statistics.events import CacheEvent
from langcache_cli.caching._statistics.report import (
    CacheReport,
    CacheStats,
    Numbers,
    ServerReport,
    readable_bytes,
)
from langcache_cli.caching._values.codec import UncacheableValueError

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
