"""One process of the randomised races: reads, or changes and clears, until it is told to stop.

`python -m tests.integration.race_worker URL FILE ROLE SEED`. The "database" is a file mapped into all
processes: a version per item, and the newest version whose invalidation was acknowledged. Whoever reads
an item after that must not get an older one.
"""

import asyncio
import json
import mmap
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from langcache_cli.caching import Cache, CachedFunction
from langcache_cli.caching._protocol.lease import Lease
from langcache_cli.caching._protocol.store import Store
from langcache_cli.caching._wire.budget import Budget
from tests.integration.cache_support import cache_at

ITEMS = 24
WRITERS = 2
PROCESSES = 8
READERS_PER_PROCESS = 16
LONGEST_LOAD_SECONDS = 0.004


class Shared:
    """Numbers in a file, each of them written by one process only."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            numbers = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")
        cut = ITEMS, 2 * ITEMS, 2 * ITEMS + PROCESSES, 2 * ITEMS + 2 * PROCESSES
        self.versions = numbers[: cut[0]]
        self.acknowledged = numbers[cut[0] : cut[1]]
        self.refused = numbers[cut[1] : cut[2]]
        self.stale = numbers[cut[2] : cut[3]]
        self.stop = numbers[cut[3] :]

    @classmethod
    def create(cls, path: Path) -> Self:
        path.write_bytes(bytes(8 * (2 * ITEMS + 2 * PROCESSES + 1)))
        return cls(path)


class UnguardedStore(Store):
    """What a cache without tokens does: store whatever was loaded."""

    async def commit(
        self,
        leases: Sequence[Lease],
        entries: Sequence[bytes],
        ttls_ms: Sequence[int],
        budget: Budget | None = None,
    ) -> list[Any]:
        for lease, entry, ttl_ms in zip(leases, entries, ttls_ms, strict=True):
            await self.server.call("SET", lease.key, entry, "PX", ttl_ms, budget=budget)
        return [1] * len(leases)


class Worker:
    """What both roles need."""

    def __init__(self, url: str, shared: Shared, seed: int) -> None:
        self.cache: Cache = cache_at(url, operation_timeout=10.0, lease_seconds=1.0, stats_flush_seconds=3600)
        self.shared = shared
        self.seed = seed
        self.random = random.Random(seed)
        self.read = self._cached()

    def _cached(self) -> CachedFunction[[int], int]:
        @self.cache.cached(key_prefix="vocabulary", key="{item}")
        async def read(item: int) -> int:
            version = self.shared.versions[item]
            # a load takes no time, or some
            await asyncio.sleep(self.random.choice((0.0, self.random.random() * LONGEST_LOAD_SECONDS)))
            return version

        return read

    async def readers(self) -> dict[str, int]:
        counts = await asyncio.gather(*(self._reader() for _ in range(READERS_PER_PROCESS)))
        await self.cache.aclose()
        return {"reads": sum(counts)}

    async def _reader(self) -> int:
        reads = 0
        while not self.shared.stop[0]:
            item = self.random.randrange(ITEMS)
            newest = self.shared.acknowledged[item]
            read = self.read.refresh if self.random.random() < 0.1 else self.read
            if await read(item) < newest:
                self.shared.stale[self.seed] += 1
            reads += 1
            self.shared.refused[self.seed] = self.cache.statistics_of(self.read)["refused"]
        return reads

    async def writer(self, number: int) -> dict[str, int]:
        mine = range(number, ITEMS, WRITERS)
        writes = 0
        while not self.shared.stop[0]:
            items = await self._change(mine)
            for item in items:
                self.shared.acknowledged[item] = self.shared.versions[item]
            writes += len(items)
            # at any moment of the loads
            await asyncio.sleep(self.random.random() * LONGEST_LOAD_SECONDS)
        await self.cache.aclose()
        return {"writes": writes}

    async def _change(self, mine: range) -> list[int]:
        how = self.random.choice(("function", "pattern", "type", "bare", "refresh"))
        items = list(mine) if how == "type" else [self.random.choice(mine)]
        for item in items:
            self.shared.versions[item] += 1
        match how:
            case "function":
                await self.read.invalidate(items[0])
            case "pattern":
                await self.cache.invalidate(f"cache:*:{items[0]}")
            case "type":
                await self.cache.invalidate_type("vocabulary")
            case "bare":
                await self.cache.client().delete(self.read.key_for(items[0]))
            case "refresh":
                await self.read.refresh(items[0])
        return items


async def main(url: str, path: str, role: str, seed: str) -> None:
    worker = Worker(url, Shared(Path(path)), int(seed))
    match role:
        case "reader":
            counts = await worker.readers()
        case "unguarded-reader":
            runtime = worker.cache.runtime()
            runtime.store = UnguardedStore(runtime.server, lease_seconds=1.0)
            counts = await worker.readers()
        case _:
            counts = await worker.writer(int(role.removeprefix("writer-")))
    sys.stdout.write(json.dumps(counts))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
