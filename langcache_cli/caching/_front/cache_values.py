"""Values that no function stands behind: stored under a key, read and removed by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langcache_cli.caching._front.cache_invalidation import Invalidating
from langcache_cli.caching._front.plain_values import MISSING, read_values, write_values
from langcache_cli.caching._protocol.lifetime import milliseconds


class PlainValues(Invalidating):
    """The part of `Cache` that is a key-value store."""

    async def get(self, key: str, default: Any = None) -> Any:
        """The value stored with `set` under ``{namespace}:{key}``.

        Returns:
            ``default`` when there is none, or Redis cannot be used.
        """
        value = (await self.get_many([key]))[key]
        return default if value is MISSING else value

    async def get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        """The values of several keys in one round trip; `MISSING` for those that have none."""
        if not self.enabled:
            return dict.fromkeys(keys, MISSING)
        runtime, full_keys = self.runtime(), [self._namespace.key(key) for key in keys]
        found = await runtime.read_if_allowed(lambda: read_values(runtime.node, full_keys))
        return dict.fromkeys(keys, MISSING) if found is None else dict(zip(keys, found, strict=True))

    async def set(self, key: str, value: Any, *, ttl: float | None = None) -> bool:
        """Store a plain JSON value under ``{namespace}:{key}``, whatever is there.

        Args:
            key: Begins with a prefix, which decides the cache type: ``"user_stats:42"``.
            value: None, bool, int, float, str, and lists and dicts of these.
            ttl: Seconds; without it that of the cache type.

        Returns:
            Whether Redis confirmed it.

        Raises:
            UncacheableValueError: The value is not plain JSON.
            ValueError: ``ttl`` is not more than 0 seconds.
        """
        return await self.set_many({key: value}, ttl=ttl)

    async def set_many(self, values: Mapping[str, Any], *, ttl: float | None = None) -> bool:
        """`set` several values in one round trip; False when Redis did not confirm all of them."""
        if ttl is not None and not ttl > 0:
            raise ValueError(f"ttl must be more than 0 seconds, not {ttl!r}")
        if not self.enabled or not values:
            return not values
        types = self.settings.types
        ttls = {
            self._namespace.key(key): milliseconds(ttl or types.of_prefix(key.partition(":")[0]).ttl_seconds)
            for key in values
        }
        stored = {self._namespace.key(key): value for key, value in values.items()}
        compress_bytes = self.settings.compress_bytes
        return await write_values(self.runtime().node, stored, ttl_ms=ttls, compress_bytes=compress_bytes)

    async def delete(self, *keys: str) -> int:
        """Remove keys given as for `set`; returns how many there were.

        Raises:
            CacheUnavailableError: Redis did not confirm, and the cache was told not to defer.
        """
        return await self.invalidate_keys([self._namespace.key(key) for key in keys]) if keys else 0
