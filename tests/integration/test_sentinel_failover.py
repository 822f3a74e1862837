"""A cache while its primary is replaced: nothing is raised or stale, also when the old one wakes up."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from langcache_cli.caching._deployment.sentinel import watch
from tests.harness.polling import aeventually
from tests.harness.sentinels import SentinelSet
from tests.harness.shared_redis import clients_of
from tests.integration.cache_support import Database
from tests.integration.sentinel_support import IN_TIME, is_stored, stopped

FAILOVER_SECONDS = 30.0
"""On a busy machine; mostly it takes three."""


@pytest.fixture
def own_sentinels() -> Iterator[SentinelSet]:
    """A set for a test that has the primary replaced."""
    with SentinelSet() as sentinels:
        yield sentinels


@pytest.mark.parametrize("how", ["killed", "on demand"])
async def test_a_failover_raises_nothing_and_leaves_nothing_stale(own_sentinels, open_cache, how):
    database = Database(open_cache(own_sentinels.url, **IN_TIME))
    old = own_sentinels.primary()
    async with under_load(database) as failures:
        await asyncio.to_thread(old.kill if how == "killed" else own_sentinels.failover)
        await aeventually(lambda: own_sentinels.primary() is not old, within=FAILOVER_SECONDS)
        await aeventually(lambda: is_stored(database, 1000), within=FAILOVER_SECONDS)
    assert failures == []
    assert own_sentinels.primary().command("EXISTS", database.read.key_for(1000)) == 1


async def test_a_primary_that_wakes_after_it_was_replaced_is_not_read_any_more(own_sentinels, open_cache):
    """It takes itself for the primary for ten seconds, and an idle process had its link to it."""
    idle, busy = (Database(open_cache(own_sentinels.url, **IN_TIME)) for _ in range(2))
    items = range(20)
    assert [await idle.read(item) for item in items] == [[item, 0] for item in items]
    await busy.read(0)
    await aeventually(lambda: all(clients_of(one) == 2 for one in own_sentinels.sentinels))
    link = idle.cache.runtime().server.node.connection
    old = own_sentinels.primary()
    with stopped(own_sentinels, old):
        await aeventually(lambda: own_sentinels.primary() is not old, within=FAILOVER_SECONDS)
        await aeventually(lambda: is_stored(busy, 1000), within=FAILOVER_SECONDS)
        for item in items:
            idle.versions[item] = busy.versions[item] = 1
            await busy.read.invalidate(item)
        await aeventually(lambda: busy.cache.pending_invalidations == 0)
        await aeventually(lambda: not link.alive)  # a second later where sentinels cannot push
    assert old.command("ROLE")[0] == b"master"
    assert old.command("EXISTS", *(idle.read.key_for(item) for item in items)) == len(items)  # the old values
    assert [await idle.read(item) for item in items] == [[item, 1] for item in items]


async def test_without_push_messages_a_failover_is_noticed_too(own_sentinels, open_cache, monkeypatch):
    monkeypatch.setattr(watch, "SUPPORTS_PUSH", False)
    idle = Database(open_cache(own_sentinels.url, **IN_TIME))
    await idle.read(1)
    old = own_sentinels.primary()
    assert clients_of(old) == 1
    await asyncio.to_thread(own_sentinels.failover)
    await aeventually(lambda: clients_of(old) == 0)


@asynccontextmanager
async def under_load(database: Database) -> AsyncIterator[list[str]]:
    """Readers, and a writer that invalidates; yields a list of stale reads and of calls that raised."""
    failures: list[str] = []
    acknowledged = dict.fromkeys(range(10), 0)

    async def read_on(item: int) -> None:
        while True:
            floor = acknowledged[item]
            try:
                _, version = await database.read(item)
                failures.extend([f"{item}: {version} after {floor}"] if version < floor else [])
            except Exception as error:  # noqa: BLE001 - whatever it is, the test names it
                failures.append(repr(error))
            await asyncio.sleep(0.002)

    async def write_on() -> None:
        while True:
            for item in acknowledged:
                database.versions[item] += 1
                written = database.versions[item]
                await database.read.invalidate(item)
                acknowledged[item] = written
                await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(work) for work in (write_on(), *(read_on(n % 10) for n in range(20)))]
    try:
        yield failures
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
