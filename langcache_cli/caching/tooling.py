"""What a tool needs that operates a cache from outside, and an application does not.

The command ``langcache`` is built on these names and on those of `langcache_cli.caching`. They may change in
a minor version; an application should do without them.
"""

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._config.settings import load_settings
from langcache_cli.caching._front.default import default_warmers
from langcache_cli.caching._front.prometheus_text import prometheus_text
from langcache_cli.caching._front.warm import WarmCounts, warm
from langcache_cli.caching._functions.warmer import Warmer
from langcache_cli.caching._keys.namespace import Namespace
from langcache_cli.caching._protocol.pace import Pace
from langcache_cli.caching._statistics.counters import COUNTERS, Label
from langcache_cli.caching._statistics.report import CacheReport, Numbers, ServerReport, readable_bytes
from langcache_cli.caching._wire.connection import RedisConnection, ask
from langcache_cli.caching._wire.handshake import connect

__all__ = [
    "COUNTERS",
    "CacheReport",
    "Label",
    "Namespace",
    "Numbers",
    "Pace",
    "RedisAddress",
    "RedisConnection",
    "ServerReport",
    "WarmCounts",
    "Warmer",
    "ask",
    "connect",
    "default_warmers",
    "load_settings",
    "prometheus_text",
    "readable_bytes",
    "warm",
]
