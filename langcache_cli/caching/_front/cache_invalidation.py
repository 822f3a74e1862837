"""Removing what is cached: by key, pattern, type or tag, now or when a transaction commits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from langcache_cli.caching._front.cache_base import CacheBase
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._keys.selection import Selection

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session


class Invalidating(CacheBase):
    """The part of `Cache` that removes."""

    async def invalidate_keys(self, keys: Sequence[str], spec: FunctionSpec | None = None) -> int:
        """Remove full keys, and the right to store any load of them that is under way.

        Args:
            keys: As `CachedFunction.key_for` gives them.
            spec: The function they belong to, if there is one: it is what the removal is counted under.

        Raises:
            PatternError: A key is outside the namespace.
            CacheUnavailableError: Redis did not confirm, and the cache was told not to defer.
        """
        self._namespace.require_inside(*keys)
        if not self.enabled or not keys:
            return 0
        runtime = self.runtime()
        removed = await self._invalidator.keys(runtime, keys)
        if spec is not None:
            runtime.record(self.label(spec), "invalidated", removed)
        return removed

    async def invalidate(self, pattern: str, *, keys_per_second: float | None = None) -> int:
        """Remove every key that matches a Redis pattern such as ``cache:*vocabulary*``.

        Text from users must become part of it only as `argument_text`, which is how it stands in keys.

        Args:
            pattern: Begins with the namespace.
            keys_per_second: How many to remove in a second at most, for the sake of the server's other
                clients; None for as fast as can be.

        Returns:
            How many keys there were.

        Raises:
            PatternError: The pattern does not begin with the namespace.
            CacheUnavailableError: Redis did not confirm, and the cache was told not to defer.
        """
        return await self._unlink(self._namespace.matching(pattern), keys_per_second)

    async def invalidate_type(self, name: str, *, keys_per_second: float | None = None) -> int:
        """Remove every entry of a cache type; returns how many keys there were.

        Args:
            name: Of the type.
            keys_per_second: As for `invalidate`.

        Raises:
            UnknownCacheTypeError: There is no such type.
            CacheUnavailableError: Redis did not confirm, and the cache was told not to defer.
        """
        return await self._unlink(self._namespace.of_type(name), keys_per_second)

    async def invalidate_tags(self, *tags: str) -> int:
        """Invalidate every entry that has one of these tags, in one step whatever their number.

        Args:
            tags: As the templates write them: ``f"user:{user_id}"``.

        Returns:
            How many of the tags were in use.

        Raises:
            CacheUnavailableError: Redis did not confirm, and the cache was told not to defer.
        """
        if not self.enabled or not tags:
            return 0
        keys = [self._namespace.tag(tag) for tag in tags]
        return await self._invalidator.keys(self.runtime(), keys)

    def after_commit(
        self,
        session: AsyncSession | async_scoped_session[Any],
        *keys: str,
        tags: Sequence[str] = (),
        patterns: Sequence[str] = (),
        types: Sequence[str] = (),
    ) -> None:
        """Invalidate when the transaction of ``session`` commits, before its ``commit()`` returns.

        A rollback drops it; so does the rollback of the savepoint it was asked for in. Without a transaction
        it belongs to the next one. A ``commit()`` that fails invalidates: perhaps only its answer was lost.
        When Redis does not confirm, it is kept as by `CachedFunction.invalidate`.

        Args:
            session: SQLAlchemy's ``AsyncSession``.
            keys: As `CachedFunction.key_for` gives them.
            tags: As for `invalidate_tags`.
            patterns: As for `invalidate`.
            types: KeyAndTags of cache types.

        Raises:
            TypeError: It is no async session.
            PatternError: A key or a pattern is outside the namespace.
            UnknownCacheTypeError: There is no such type.
        """
        self._transactions.add(session, self._namespace.invalidations(keys, tags, patterns, types))

    @property
    def pending_invalidations(self) -> int:
        """How many invalidations of this process Redis has not confirmed yet; calls pass it by until then."""
        return len(self._outbox)

    async def _unlink(self, selection: Selection, keys_per_second: float | None) -> int:
        if not self.enabled:
            return 0
        return await self._invalidator.selection(self.runtime(), selection, keys_per_second=keys_per_second)
