"""Renewals of many entries in one load that hang, or that fail: what they leave to the calls that follow."""

import asyncio
from collections.abc import Sequence

import pytest

from langcache_cli.caching import cached_many
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, Gate, make_stale

TTL_SECONDS = 60


class Batch:
    """A batch of a function; the load of the second one is held at a gate."""

    def __init__(self, cache, redis_server) -> None:
        self.database = Database(cache, ttl=TTL_SECONDS, stale_ttl=TTL_SECONDS)
        self.redis_server = redis_server
        self.keys = [self.database.read.key_for(item) for item in (1, 2)]
        self.batches = 0
        self.gate = Gate()
        self.failing: list[int] = []

        @cached_many(self.database.read, each="items")
        async def read_many(items: Sequence[int]) -> list[list[int]]:
            self.batches += 1
            if self.batches == 2:
                await self.gate()
            if self.failing == [1, 2]:
                raise LookupError("the database is away")
            return [
                LookupError("gone") if item in self.failing else [item, self.database.versions[item]]
                for item in items
            ]

        self.read = read_many

    async def renewing(self) -> asyncio.Task:
        """Load entries, let them become stale; returns the task that is loading their successors."""
        assert await self.read([1, 2]) == [[1, 0], [2, 0]]
        for key in self.keys:
            make_stale(self.redis_server, key)
        assert await self.read([1, 2]) == [[1, 0], [2, 0]]
        await self.gate.reached()
        (task,) = [one for one in asyncio.all_tasks() if one.get_name().startswith("langcache-load")]
        self.database.versions.update((1, 2))
        return task

    def kept_seconds(self) -> list[float]:
        return [self.redis_server.command("PTTL", key) / 1000 for key in self.keys]


async def test_one_that_never_ends_does_not_keep_others_from_trying(open_cache, redis_server):
    batch = Batch(open_cache(load_timeout=0.1, lease_seconds=0.3), redis_server)
    hung = await batch.renewing()

    async def is_renewed() -> bool:
        return await batch.read([1, 2]) == [[1, 1], [2, 1]]

    await aeventually(is_renewed)
    await aeventually(hung.cancelled)


@pytest.mark.parametrize("how", ["all fail", "one fails", "cancelled"])
async def test_after_one_that_fails_old_entries_end_in_their_own_time(open_cache, redis_server, how):
    """Not with the lease, under which no load runs: calls near the end of an entry would wait for that."""
    batch = Batch(open_cache(lease_seconds=300.0), redis_server)
    task = await batch.renewing()
    assert min(batch.kept_seconds()) > 2 * TTL_SECONDS
    batch.failing = {"all fail": [1, 2], "one fails": [2], "cancelled": []}[how]
    if how == "cancelled":
        task.cancel()
    batch.gate.open()
    await aeventually(lambda: max(batch.kept_seconds()) <= 2 * TTL_SECONDS)
    assert await batch.read([1, 2]) == [[1, 1 if how == "one fails" else 0], [2, 0]]
