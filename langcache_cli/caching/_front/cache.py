"""The cache: everything that can be asked of it.

Longer than other files: one class, the whole public surface, in which each method only delegates.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from langcache_cli.caching._blocks import Mode
from langcache_cli.caching._config.settings import CacheSettings
from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._front.context import Context
from langcache_cli.caching._front.functions.cached_function import CachedFunction
from langcache_cli.caching._front.functions.decorator import Decorator, decorator
from langcache_cli.caching._front.functions.registry import Registry, known_keys
from langcache_cli.caching._front.invalidation import CacheInvalidation
from langcache_cli.caching._front.modes.modes import ModeBlock, Modes
from langcache_cli.caching._front.modes.recorder import CallRecord, Record
from langcache_cli.caching._front.plain_values import MISSING, PlainValues
from langcache_cli.caching._front.reports import DEFAULT_WINDOW_SECONDS, Reports
from langcache_cli.caching._front.sync.sync_cache import SyncCache
from langcache_cli.caching._front.writes.invalidates import invalidating
from langcache_cli.caching._front.writes.targets import Writers
from langcache_cli.caching._functions.duration import Duration
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

F = TypeVar("F", bound=Callable[..., Any])


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
        self.direct = self.enabled
        """False if calls have to look at more than the cache: while a block such as `bypassed` is open in any
        task or thread, while `observe` is in use, and always in a disabled cache."""
        self.modes = Modes(self.events, self._modes_changed, enabled=self.enabled)
        """The blocks and observers."""
        self.registry = Registry()
        """The functions that `cached` of this cache has decorated."""
        self.reader = context.reader
        """The reader of a function on the running event loop; bound once, as every call uses it."""
        self.thread_reads = context.thread_reads  # the same for threads without an event loop
        unmatched = UnmatchedPatterns(context.settings, known_keys)
        self._values = PlainValues(context, unmatched.plain_keys, self.modes.mode)
        self.invalidation = CacheInvalidation(context, unmatched)
        """Removes entries, on behalf of the methods of this class and of functions that write."""
        self._reports = Reports(context)

    # -- functions --

    def cached(self, **options: Unpack[CachedOptions]) -> Decorator:
        """Decorate a function to cache its values here; see the module's `cached`."""
        return decorator(lambda: self, self.registry, options)

    def bypassed(self) -> ModeBlock[None]:
        """``with cache.bypassed():`` calls in the block run their functions, and neither read nor store.

        They wait for no load of others, and none waits for theirs; they are not counted. Plain `get` finds
        nothing, and plain `set` stores nothing and returns False. What is asked for by name is done all the
        same: `CachedFunction.refresh`, invalidations, warming. Works with ``async with``, too.

        The block concerns the task that it is in, and tasks that are created in it, until it ends. Loads that
        the cache itself runs in the background are in no block. Of several blocks the innermost counts.
        """
        return ModeBlock(self.modes, lambda: (None, None), Mode.BYPASSED)

    def refreshing(self) -> ModeBlock[None]:
        """``with cache.refreshing():`` calls in the block load, and replace what is stored.

        As with `CachedFunction.refresh` the old entry is served to others until then, loads that began
        earlier are not stored any more, and calls that come before a load has begun share it. Unlike there no
        error of Redis is raised: while it cannot be used, calls run their functions. Plain `get` finds
        nothing; plain `set` stores. `bypassed` says what is in the block.
        """
        return ModeBlock(self.modes, lambda: (None, None), Mode.REFRESHING)

    def traced(self) -> ModeBlock[list[CallRecord]]:
        """``with cache.traced() as trace:`` records the calls in the block: ``trace`` is the list of them.

        A call is added when it has ended, one for each item of a call for many. Calls in tasks and threads
        that are created in the block are recorded, too, and those of blocks inside. Plain `get` and `set` are
        not. `bypassed` says what is in the block.
        """

        def start() -> tuple[list[CallRecord], Record]:
            trace: list[CallRecord] = []
            return trace, trace.append

        return ModeBlock(self.modes, start)

    def observe(self, observer: Record) -> Callable[[], None]:
        """Call ``observer`` with the `CallRecord` of every call after its end, for tracing of one's own.

        It runs in the task and thread of the call, and must not block. Its exceptions are logged.

        Returns:
            A function that ends it.
        """
        return self.modes.observe(observer)

    def _modes_changed(self, are_any: bool) -> None:
        self.direct = self.enabled and not are_any

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

    async def set(self, key: str, value: Any, *, ttl: Duration | None = None) -> bool:
        """Store a plain JSON value under ``{namespace}:{key}``, whatever is there.

        Args:
            key: Begins with a prefix, which decides the cache type: ``"user_stats:42"``.
            value: None, bool, int, float, str, and lists and dicts of these.
            ttl: Seconds, a `timedelta`, or a text such as ``"30m"``; without it the TTL of the cache type.

        Returns:
            True if Redis confirmed it.

        Raises:
            UncacheableValueError: The value is not plain JSON.
            ValueError: ``ttl`` is not more than 0 seconds, or a text that is no duration.
            TypeError: ``ttl`` is no duration.
        """
        return await self._values.set_many({key: value}, ttl)

    async def set_many(self, values: Mapping[str, Any], *, ttl: Duration | None = None) -> bool:
        """`set` several values in one round trip; False when Redis did not confirm all of them."""
        return await self._values.set_many(values, ttl)

    async def delete(self, *keys: str) -> int:
        """Remove keys given as for `set`, or full keys as `CachedFunction.key_for` returns them.

        Returns:
            How many there were.

        Raises:
            CacheUnavailableError: Redis did not confirm, and the cache does not defer.
        """
        return await self.invalidation.plain_keys(keys)

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
        return await self.invalidation.keys(keys, spec)

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
        return await self.invalidation.pattern(pattern, keys_per_second)

    async def invalidate_type(self, name: str, *, keys_per_second: float | None = None) -> int:
        """Remove every entry of a cache type; returns how many keys there were.

        Args:
            name: The type.
            keys_per_second: As for `invalidate`.

        Raises:
            UnknownCacheTypeError: There is no such type.
            CacheUnavailableError: Redis did not confirm, and the cache does not defer.
        """
        return await self.invalidation.type(name, keys_per_second)

    async def invalidate_tags(self, *tags: str) -> int:
        """Invalidate every entry that has one of these tags, in one step whatever their number.

        Args:
            tags: As the templates write them: ``f"user:{user_id}"``.

        Returns:
            How many of the tags were in use.

        Raises:
            CacheUnavailableError: Redis did not confirm, and the cache does not defer.
        """
        return await self.invalidation.tags(tags)

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
        self.invalidation.after_commit(session, keys=keys, tags=tags, patterns=patterns, types=types)

    def invalidates(
        self,
        *functions: Writers,
        tags: Sequence[str] = (),
        patterns: Sequence[str] = (),
        types: Sequence[str] = (),
        session: str | None = None,
    ) -> Callable[[F], F]:
        """Decorate a function that writes: what it has made out of date is removed when it has returned.

        ```python
        @cache.invalidates(get_word, tags=("level:{word.level}", "author:{result.author_id}"))
        async def save_word(word_id: int, word: WordForm, db: AsyncSession) -> Word: ...
        ```

        It happens before the caller has the returned value. If the function has a SQLAlchemy session that is
        in a transaction then, it happens again when that commits, before ``commit()`` returns (see
        `after_commit`); a rollback drops the second. It never happens when the function raises. If it is
        cancelled, the write may have been committed: it happens in the background, and until Redis has
        confirmed it this process does not read what it is about.

        Fields in braces are parameters of the function, or attributes or items of them: ``{word.id}``,
        ``{row[0]}``. They are read before it runs and again when it has returned, and both are invalidated: a
        write may change the name of what it changes. ``{result.id}`` is read from the value that it returns,
        and left out if that is None.

        Works on ``async def`` functions, plain functions and methods, below ``@classmethod``,
        ``@staticmethod`` and the decorators of routes. A plain function waits for Redis unless it runs on the
        thread of an event loop; see `after_commit`.

        Args:
            functions: Of ``@cached`` or ``@cached_many``, whose entry goes. A parameter that its key needs is
                that of the same name here, or what `CachedFunction.where` says. Of a method the entries of
                all classes that have it go.
            tags: Templates of tags, as for `cached`.
            patterns: Templates of patterns. The text of an argument in them matches only itself.
            types: Cache types.
            session: Where the session is, such as ``"{self.db}"``, if no parameter is annotated as one.

        Raises:
            TypeError: When the module is imported: a parameter is missing or unknown, or the function is a
                generator. When it is called, before it runs: an argument cannot be part of a key. When it has
                returned: a field of its result cannot be read; all else was invalidated.
            PatternError: When it is called, before it runs: a pattern is outside the namespace.
            UnknownCacheTypeError: When it is called, before it runs: there is no such type.
        """
        return invalidating(
            lambda: self, functions, tags=tags, patterns=patterns, types=types, session=session
        )

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
            window_seconds: How far back, at most a week. The minute, five minutes or hour that is running is
                there as well: `CacheReport.window_seconds` is the true length.

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
        return self.runtime().client.get()

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
