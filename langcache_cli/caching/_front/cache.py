"""The cache: everything that can be asked of it.

Longer than other files: one class, the whole public surface, in which each method only delegates.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from langcache_cli.caching._config.settings import CacheSettings
from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._front.cached_function import CachedFunction
from langcache_cli.caching._front.context import Context
from langcache_cli.caching._front.decorator import Decorator, decorator
from langcache_cli.caching._front.invalidation import CacheInvalidation
from langcache_cli.caching._front.plain_values import MISSING, PlainValues
from langcache_cli.caching._front.registry import Registry, known_keys
from langcache_cli.caching._front.reports import DEFAULT_WINDOW_SECONDS, Reports
from langcache_cli.caching._front.sync.sync_cache import SyncCache
from langcache_cli.caching._functions.options import CachedOptions
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._invalidation.unmatched_patterns import UnmatchedPatterns
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._statistics.report import CacheReport, CacheStats, Numbers, ServerReport
from langcache_cli.caching._wire.externals import Externals

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
    from sqlalchemy.orm import Session


class Cache:
    """A cache in one Redis and one namespace.

    Making one connects to nothing. It can be used from one event loop after another, and from several in
    several threads: each gets connections of its own, which `aclose` ends for the running loop.
    """

    def __init__(
        self,
        settings: CacheSettings | None = None,
        *,
        publish_statistics: bool = True,
        defer_invalidations: bool = True,
        externals: Externals | None = None,
    ) -> None:
        """Use ``settings``, or those of the environment.

        Args:
            settings: None reads the environment.
            publish_statistics: False keeps the counters in this process: for tools, whose reads say
                nothing about the application.
            defer_invalidations: Keep an invalidation that Redis does not confirm, go straight to the
                functions until it is confirmed, and do not raise. False raises `CacheUnavailableError`
                instead.
            externals: Other connections and another clock, for tests; see `langcache_cli.caching.testing`.

        Raises:
            ConfigurationError: A setting has a value that is not allowed.
        """
        self._context = context = Context(
            settings or CacheSettings.load(),
            publish_statistics=publish_statistics,
            defer_invalidations=defer_invalidations,
            externals=externals or Externals(),
        )
        self.settings = context.settings
        self.enabled = context.enabled
        """False if ``REDIS_ENABLED`` is: then every call goes straight to its function."""
        self.statistics = context.statistics
        """What this process has counted."""
        self.events = context.events
        """Every count at the moment it is made: ``events.subscribe(hook)``."""
        self.registry = Registry()
        """The functions that `cached` of this cache has decorated."""
        self.reader = context.reader
        """The reader of a function on the running event loop; bound once, as every call uses it."""
        self.thread_reads = context.thread_reads  # the same for threads without an event loop
        unmatched = UnmatchedPatterns(context.settings, known_keys)
        self._values = PlainValues(context, unmatched.plain_keys)
        self._invalidation = CacheInvalidation(context, unmatched)
        self._reports = Reports(context)

    # -- functions --

    def cached(self, **options: Unpack[CachedOptions]) -> Decorator:
        """Decorate a function to cache its values here; see the module's `cached`."""
        return decorator(lambda: self, self.registry, options)

    def label(self, spec: FunctionSpec) -> Label:
        """What the calls of a function are counted under."""
        return self._context.label(spec)

    def lifetime(self, spec: FunctionSpec) -> Lifetime:
        """How long a function's entries live: its own TTL, or that of its cache type."""
        return self._context.lifetime(spec)

    # -- plain values --

    async def get(self, key: str, default: Any = None) -> Any:
        """The value stored with `set` under ``{namespace}:{key}``.

        Returns:
            ``default`` when there is none, or Redis cannot be used.
        """
        value = (await self._values.get_many([key]))[key]
        return default if value is MISSING else value

    async def get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        """The values of several keys in one round trip; `MISSING` for those that have none."""
        return await self._values.get_many(keys)

    async def set(self, key: str, value: Any, *, ttl: float | None = None) -> bool:
        """Store a plain JSON value under ``{namespace}:{key}``, whatever is there.

        Args:
            key: Begins with a prefix, which decides the cache type: ``"user_stats:42"``.
            value: None, bool, int, float, str, and lists and dicts of these.
            ttl: Seconds; without it the TTL of the cache type.

        Returns:
            True if Redis confirmed it.

        Raises:
            UncacheableValueError: The value is not plain JSON.
            ValueError: ``ttl`` is not more than 0 seconds.
        """
        return await self._values.set_many({key: value}, ttl)

    async def set_many(self, values: Mapping[str, Any], *, ttl: float | None = None) -> bool:
        """`set` several values in one round trip; False when Redis did not confirm all of them."""
        return await self._values.set_many(values, ttl)

    async def delete(self, *keys: str) -> int:
        """Remove keys given as for `set`, or full keys as `CachedFunction.key_for` returns them.

        Returns:
            How many there were.

        Raises:
            CacheUnavailableError: Redis did not confirm, and the cache does not defer.
        """
        return await self._invalidation.plain_keys(keys)

    # -- invalidation --

    async def invalidate_keys(self, keys: Sequence[str], spec: FunctionSpec | None = None) -> int:
        """Remove full keys, and the right to store any load of them that is under way.

        Args:
            keys: As `CachedFunction.key_for` returns them.
            spec: The function that the removal is counted under.

        Returns:
            How many keys there were.

        Raises:
            PatternError: A key is outside the namespace.
            CacheUnavailableError: Redis did not confirm, and the cache does not defer.
        """
        return await self._invalidation.keys(keys, spec)

    async def invalidate(self, pattern: str, *, keys_per_second: float | None = None) -> int:
        """Remove every key that matches a Redis pattern such as ``cache:*vocabulary*``.

        Text from users must become part of it only as `argument_text`, which is the form it has in keys. One
        that removes nothing, and can match no key that this process makes, is warned about once.

        Args:
            pattern: Begins with the namespace.
            keys_per_second: Upper bound for the rate, to spare the server's other clients; None for none.

        Returns:
            How many keys there were.

        Raises:
            PatternError: The pattern does not begin with the namespace.
            CacheUnavailableError: Redis did not confirm, and the cache does not defer.
        """
        return await self._invalidation.pattern(pattern, keys_per_second)

    async def invalidate_type(self, name: str, *, keys_per_second: float | None = None) -> int:
        """Remove every entry of a cache type; returns how many keys there were.

        Args:
            name: The type.
            keys_per_second: As for `invalidate`.

        Raises:
            UnknownCacheTypeError: There is no such type.
            CacheUnavailableError: Redis did not confirm, and the cache does not defer.
        """
        return await self._invalidation.type(name, keys_per_second)

    async def invalidate_tags(self, *tags: str) -> int:
        """Invalidate every entry that has one of these tags, in one step whatever their number.

        Args:
            tags: As the templates write them: ``f"user:{user_id}"``.

        Returns:
            How many of the tags were in use.

        Raises:
            CacheUnavailableError: Redis did not confirm, and the cache does not defer.
        """
        return await self._invalidation.tags(tags)

    def after_commit(
        self,
        session: AsyncSession | async_scoped_session[Any] | AsyncConnection | Session | Connection,
        *keys: str,
        tags: Sequence[str] = (),
        patterns: Sequence[str] = (),
        types: Sequence[str] = (),
    ) -> None:
        """Invalidate when the transaction of ``session`` commits, before its ``commit()`` returns.

        It invalidates at once, too, as the commit may come late: until then calls load what they would read
        without a cache, and what they have stored is removed after the commit. A rollback drops the request;
        so does the rollback of the savepoint in which it was made. Without a transaction it belongs to the
        next one. A ``commit()`` that fails invalidates: perhaps only its answer was lost. What Redis does not
        confirm is kept as by `CachedFunction.invalidate`.

        Args:
            session: SQLAlchemy's ``AsyncSession``, ``AsyncConnection``, or a synchronous one. A synchronous
                ``commit()`` on the thread of an event loop does not wait for Redis: until it has confirmed,
                this process does not read what it is about.
            keys: As `CachedFunction.key_for` returns them.
            tags: As for `invalidate_tags`.
            patterns: As for `invalidate`.
            types: Names of cache types.

        Raises:
            TypeError: It is none of these. (A disabled cache takes anything, and does nothing.)
            PatternError: A key or a pattern is outside the namespace.
            UnknownCacheTypeError: There is no such type.
        """
        self._invalidation.after_commit(session, keys=keys, tags=tags, patterns=patterns, types=types)

    @property
    def pending_invalidations(self) -> int:
        """Invalidations of this process that Redis has not confirmed: what they are about is not read."""
        return len(self._context.outbox)

    # -- reports --

    async def holds(self, key: str) -> bool:
        """True if there is anything under a full key: an entry, or the placeholder of a load.

        Raises:
            CacheUnavailableError: Redis did not answer, or the cache is disabled.
        """
        return await self._reports.holds(key)

    async def holds_tag(self, tag: str) -> bool:
        """True if a tag is in use: entries with it may exist.

        Raises:
            CacheUnavailableError: Redis did not answer, or the cache is disabled.
        """
        return await self._reports.holds_tag(tag)

    def scan(self, pattern: str | None = None, *, type_name: str | None = None) -> AsyncIterator[list[str]]:
        """Yield batches of keys: all, those that match a pattern, or those of a cache type.

        As with Redis' SCAN, a key may come twice, and one that comes or goes meanwhile may be missing.

        Raises:
            PatternError: The pattern does not begin with the namespace.
            UnknownCacheTypeError: There is no such type.
            CacheUnavailableError: Redis did not answer, or the cache is disabled.
        """
        return self._reports.scan(pattern, type_name)

    def statistics_of(self, function: CachedFunction[Any, Any]) -> Numbers:
        """What this process has counted for a function and not delivered yet."""
        return Numbers(self.statistics.of(self.label(function.spec)))

    async def ping(self) -> float:
        """The round trip to Redis in seconds.

        Raises:
            CacheUnavailableError: No answer within the budget, or the cache is disabled.
        """
        return await self._reports.ping()

    async def report(self, *, window_seconds: int = DEFAULT_WINDOW_SECONDS) -> CacheReport:
        """The cache's own numbers of all processes; those of this process are delivered first.

        Args:
            window_seconds: How far back, at most a week.

        Raises:
            CacheError: Redis could not be asked.
        """
        return await self._reports.report(window_seconds)

    async def server_report(self) -> ServerReport:
        """What Redis says of itself.

        Raises:
            CacheError: Redis could not be asked.
        """
        return await self._reports.server_report()

    async def usability(self) -> tuple[ServerReport, CacheError | None]:
        """What Redis says of itself, and what keeps it from holding the cache; None for nothing.

        Nothing is written.

        Raises:
            CacheError: Redis could not be asked.
        """
        return await self._reports.usability()

    async def stats(self) -> CacheStats:
        """Both reports as one record for a health page.

        It never raises when Redis is down, and takes at most ``LANGCACHE_OPERATION_TIMEOUT``.
        """
        return await self._reports.stats()

    # -- event loops --

    @property
    def sync(self) -> SyncCache:
        """The same cache for threads without an event loop; each method blocks."""
        return SyncCache(self)

    def client(self) -> Redis:
        """A redis-py client for this event loop, closed by `aclose`; for everything that is not caching."""
        return self.runtime().client

    def runtime(self) -> Runtime:
        """What this cache holds for the running event loop."""
        return self._context.runtime()

    async def aclose(self) -> None:
        """Deliver the statistics and end everything this event loop holds; the cache can be used again."""
        await self._context.runtimes.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
