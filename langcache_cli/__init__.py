"""langcache: a Redis caching core for async Python, and the command that operates it.

A backend imports `langcache_cli.caching`; people and cron jobs run `langcache`.
"""

__version__ = "0.1.0"
