"""What the tests of `ttl` and `max_bytes` share."""

from langcache_cli.caching import cached_many
from tests.integration.cache_support import Gate


class Words:
    """A function that returns what the test says, and how often it ran."""

    def __init__(self, cache, **options):
        self.values: dict[int, object] = {}
        self.loads: list[int] = []
        self.gate = Gate(is_open=True)
        self.cache = cache

        @cache.cached(key_prefix="words", **options)
        async def read(item: int) -> object:
            self.loads.append(item)
            value = self.values.get(item, f"word {item}")
            await self.gate()
            return value

        self.read = read

        @cached_many(read, each="items")
        async def read_all(items: list[int]) -> list[object]:
            self.loads += items
            await self.gate()
            return [self.values.get(item, f"word {item}") for item in items]

        self.read_all = read_all

    def counted(self, name: str) -> int:
        return self.cache.statistics_of(self.read)[name]

    async def is_stored(self, item: int = 1) -> bool:
        """True if the next call loads nothing."""
        before = len(self.loads)
        await self.read(item)
        return len(self.loads) == before
