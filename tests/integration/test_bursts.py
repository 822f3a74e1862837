"""A burst of cold keys takes its leases in portions: the first do not end before the last are taken."""

import asyncio

from langcache_cli.caching._single_flight.running_loads import ACQUIRING_AT_ONCE
from tests.integration.cache_support import Database


async def test_a_burst_of_cold_keys_takes_its_leases_in_portions_and_stores_all(cache, monkeypatch):
    database = Database(cache)
    store, under_way, most = cache.runtime().store, 0, 0
    acquire = store.acquire

    async def counted(*args, **kwargs):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await acquire(*args, **kwargs)
        finally:
            under_way -= 1

    monkeypatch.setattr(store, "acquire", counted)
    items = range(3 * ACQUIRING_AT_ONCE)
    assert await asyncio.gather(*map(database.read, items)) == [[item, 0] for item in items]
    assert most == ACQUIRING_AT_ONCE
    await asyncio.gather(*map(database.read, items))
    assert sum(database.reads.values()) == len(items)
