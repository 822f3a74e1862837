"""An origin whose values can be made stale, and whose loads are counted, held or broken."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from langcache_cli.caching import Cache
from tests.integration.cache_support import Gate


class Origin:
    """A counter behind the cache that can be held and broken."""

    def __init__(self, cache: Cache, **options: Any) -> None:
        self.cache = cache
        self.version = 0
        self.loads = 0
        self.error: Exception | None = None
        self.gate = Gate(is_open=True)

        @cache.cached(key_prefix="episodes", **options)
        async def read(item: int) -> list[int]:
            return await self._load(item)

        @cache.cached(key_prefix="subtitles", **options)
        async def read_with(item: int, session: AsyncSession) -> list[int]:
            return await self._load(item)

        self.read, self._read_with = read, read_with

    async def in_session(self, item: int) -> list[int]:
        """A function that takes a database session."""
        return await self._read_with(item, None)

    async def _load(self, item: int) -> list[int]:
        self.loads += 1
        value = [item, self.version]
        await self.gate()
        if self.error is not None:
            raise self.error
        return value

    def counted(self, name: str) -> int:
        return self.cache.statistics_of(self.read)[name] + self.cache.statistics_of(self._read_with)[name]
