"""Everything at once: no call returns a value from before a write that had returned when the call began."""

import asyncio
import contextlib
import random

import pytest

from langcache_cli.caching import cached_many
from langcache_cli.caching.testing import memory_cache

ITEMS = range(6)


class World:
    """A database, two ways to read it through a cache, and one to write to it."""

    def __init__(self, cache, seed: int) -> None:
        self.cache = cache
        self.random = random.Random(seed)
        self.versions = dict.fromkeys(ITEMS, 0)
        self.written = dict.fromkeys(ITEMS, 0)
        """The versions of writes that have returned."""
        self.calls = 0

        def ttl_of(value: list[int]) -> str | None:
            return None if self.random.random() < 0.3 else self.random.choice(["1m", "30d"])

        @cache.cached(key_prefix="words", ttl=ttl_of, tags=("word:{item}",), stale_ttl=60, early_refresh=1)
        async def read(item: int) -> list[int]:
            return (await self.load([item]))[0]

        @cached_many(read, each="items")
        async def read_all(items: list[int]) -> list[list[int]]:
            return await self.load(items)

        @cache.invalidates(read)
        async def write_key(item: int) -> int:
            return await self.store(item)

        @cache.invalidates(tags=("word:{item}",))
        async def write_tag(item: int) -> int:
            return await self.store(item)

        self.read, self.read_all, self.writes = read, read_all, (write_key, write_tag)

    async def pause(self) -> None:
        for _ in range(self.random.randrange(4)):
            await asyncio.sleep(0)

    async def load(self, items: list[int]) -> list[list[int]]:
        await self.pause()
        found = [[item, self.versions[item]] for item in items]
        await self.pause()
        return found

    async def store(self, item: int) -> int:
        self.versions[item] += 1
        version = self.versions[item]
        await self.pause()
        return version

    async def reader(self) -> None:
        blocks = [contextlib.nullcontext, self.cache.refreshing, self.cache.bypassed, self.cache.traced]
        for _ in range(60):
            await self.pause()
            items = self.random.sample(ITEMS, self.random.choice([1, 1, 3]))
            least = [self.written[item] for item in items]
            with self.random.choices(blocks, [5, 3, 1, 2])[0]():
                found = await (self.read_all(items) if self.random.random() < 0.5 else self.one_by_one(items))
            assert [item for item, _ in found] == items
            for (item, version), known in zip(found, least, strict=True):
                assert version >= known, (item, version, known)
            self.calls += 1

    async def one_by_one(self, items: list[int]) -> list[list[int]]:
        return await asyncio.gather(*map(self.read, items))

    async def writer(self) -> None:
        for _ in range(40):
            await self.pause()
            item = self.random.choice(ITEMS)
            version = await self.random.choice(self.writes)(item)
            self.written[item] = max(self.written[item], version)

    async def canceller(self) -> None:
        for _ in range(40):
            with self.random.choice([self.cache.refreshing, contextlib.nullcontext])():
                call = asyncio.create_task(self.read(self.random.choice(ITEMS)))
                await self.pause()
                call.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await call


@pytest.mark.parametrize("seed", range(5))
async def test_no_value_from_before_a_write_that_has_returned(seed):
    async with memory_cache(operation_timeout=30.0, lease_seconds=30.0) as cache:
        world = World(cache, seed)
        readers = [world.reader() for _ in range(12)]
        others = [world.writer(), world.writer(), world.canceller(), world.canceller()]
        async with asyncio.timeout(60):
            await asyncio.gather(*readers, *others)
            assert world.calls == 12 * 60
            for item in ITEMS:
                assert await world.read(item) == [item, world.versions[item]]
        assert cache.direct is True
