"""Entries in memory while slots change hands: moved, failed over, their node killed or replaced and woken."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import pytest

from langcache_cli.caching._deployment.cluster.slots import slot_of
from langcache_cli.caching._near.generation import MAX_LAG_SECONDS
from tests.harness.cluster_node import node_id
from tests.harness.formed_servers import REPLACED_SECONDS
from tests.harness.polling import aeventually, eventually
from tests.harness.redis_cluster import RedisCluster
from tests.harness.resp import RespError
from tests.integration.cache_support import Database
from tests.integration.cluster_support import items_on, one_on_each, replaced
from tests.integration.near_support import kept, warmed

STEPS = 5
TIMES = 20
PAUSE_SECONDS = 0.03


@pytest.fixture
def database(open_cache, redis_cluster) -> Database:
    return Database(open_cache(redis_cluster.url, operation_timeout=1.0), local_ttl=60)


def near_hits(database: Database) -> int:
    return database.cache.statistics_of(database.read).counts.get("near", 0)


class Changes:
    """Versions that another process has made visible, each with the moment from which on it must be seen."""

    def __init__(self, database: Database, cluster: RedisCluster) -> None:
        self._database = database
        self._cluster = cluster
        self._acknowledged: dict[int, list[tuple[float, int]]] = {}
        self.made = 0

    def change(self, item: int) -> None:
        """Change an item and remove its entry, as another process does."""
        self._database.versions[item] += 1
        key = self._database.read.key_for(item)
        eventually(lambda: self._is_removed(key), within=REPLACED_SECONDS)
        acknowledged = self._acknowledged.setdefault(item, [])
        acknowledged.append((time.monotonic(), self._database.versions[item]))
        self.made += 1

    def _is_removed(self, key: str) -> bool:
        try:
            self._cluster.command("DEL", key)
        except RespError as error:
            if not str(error).startswith("CLUSTERDOWN"):  # for a moment of each failover
                raise
            return False
        return True

    def oldest(self, item: int, began: float) -> int:
        """The oldest version that a read that began then may give."""
        seen = [version for at, version in self._acknowledged.get(item, []) if at + MAX_LAG_SECONDS < began]
        return max(seen, default=0)


@asynccontextmanager
async def readers(database: Database, changes: Changes, *items: int) -> AsyncIterator[list[str]]:
    """Read items all the time; gets what was read that was too old."""
    too_old: list[str] = []

    async def read(item: int) -> None:
        while True:
            began = time.monotonic()
            _, version = await database.read(item)
            if version < (oldest := changes.oldest(item, began)):
                too_old.append(f"{version} of {item}, which must be {oldest} at least")
            await asyncio.sleep(0.001)

    tasks = [asyncio.create_task(read(item)) for item in items]
    try:
        yield too_old
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(error) for error in ended} == {asyncio.CancelledError}


async def test_a_slot_that_moves_there_and_back_under_reads(database, redis_cluster):
    source, target, _ = redis_cluster.primaries
    item = next(items_on(redis_cluster, database, source))
    key = database.read.key_for(item)
    slot = redis_cluster.slot_of(key)
    changes = Changes(database, redis_cluster)
    for number in range(STEPS):
        redis_cluster.command("SET", f"{{{key}}}:{number}", "")  # each is a step of the move

    def change() -> None:
        changes.change(item)
        time.sleep(PAUSE_SECONDS)  # for what is read meanwhile

    await warmed(database, item)
    async with readers(database, changes, item) as too_old:
        for to in (target, source, target, source):
            await asyncio.to_thread(redis_cluster.migrate, slot, to, change)
            before = near_hits(database)
            await aeventually(lambda before=before: near_hits(database) > before + 10)
            await asyncio.to_thread(change)
            await aeventually(lambda: kept(database, item))
    assert too_old == []
    assert changes.made >= 4 * STEPS
    assert await database.read(item) == [item, database.versions[item]]


async def test_an_entry_whose_slot_is_on_its_way_is_not_kept(database, redis_cluster):
    """The key is on the target already, and the source says so: what one of them pushes is not all."""
    source, target, other = redis_cluster.primaries
    item, safe = (next(items_on(redis_cluster, database, node)) for node in (source, other))
    slot = redis_cluster.slot_of(database.read.key_for(item))
    await warmed(database, item, safe)
    seen = []

    def pause() -> None:
        if redis_cluster.primaries[0].command("CLUSTER", "COUNTKEYSINSLOT", slot) == 0:
            seen.append(asyncio.run_coroutine_threadsafe(read_and_look(), loop).result())

    async def read_and_look() -> list[bool]:
        found = [await kept(database, item) for _ in range(TIMES)]
        await warmed(database, safe)
        return found

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(redis_cluster.migrate, slot, target, pause)
    assert seen == [[False] * TIMES]
    await aeventually(lambda: kept(database, item))
    await asyncio.to_thread(redis_cluster.migrate, slot, source)


async def reads(database: Database, item: int) -> None:
    """Read for longer than what is in memory may lag."""
    ends = time.monotonic() + 1.5 * MAX_LAG_SECONDS
    while time.monotonic() < ends:
        await database.read(item)
        await asyncio.sleep(0.005)


async def test_a_tag_whose_slot_is_on_its_way(open_cache, redis_cluster):
    """What removes it there is pushed by the target, and the entry could only rely on the source."""
    database = Database(open_cache(redis_cluster.url), tags=("word:{item}",), local_ttl=60)
    source, target, other = redis_cluster.primaries
    item, tag = next(
        (item, tag)
        for item in items_on(redis_cluster, database, other)
        if redis_cluster.node_of(tag := f"cache@tag:word:{item}") is source
    )
    slot = redis_cluster.slot_of(tag)

    def pause() -> None:
        if source.command("CLUSTER", "COUNTKEYSINSLOT", slot) == 0:
            asyncio.run_coroutine_threadsafe(change_and_read(), loop).result()

    async def change_and_read() -> None:
        for version in range(1, 4):
            await reads(database, item)
            database.versions[item] = version
            assert redis_cluster.command("DEL", tag) == 1
            await reads(database, item)
            assert await database.read(item) == [item, version]

    loop = asyncio.get_running_loop()
    await warmed(database, item)
    await asyncio.to_thread(redis_cluster.migrate, slot, target, pause)
    await aeventually(lambda: kept(database, item))
    await asyncio.to_thread(redis_cluster.migrate, slot, source)


async def test_a_slot_that_is_taken_by_force(database, redis_cluster):
    """Its keys are dropped, and Redis before 7.2 does not say so: the first redirect does."""
    source, target, _ = redis_cluster.primaries
    item = next(items_on(redis_cluster, database, source))
    slot = slot_of(database.read.key_for(item))
    sibling = next(other for other in count(item + 1) if slot_of(database.read.key_for(other)) == slot)
    await warmed(database, item)
    target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", node_id(source))
    target.command("CLUSTER", "SETSLOT", slot, "NODE", node_id(target))
    await aeventually(lambda: redis_cluster._all_name(slot, target), within=REPLACED_SECONDS)
    database.versions[item] = 1
    await database.read(sibling)
    await aeventually(lambda: kept(database, item))
    assert await database.read(item) == [item, 1]
    await asyncio.to_thread(redis_cluster.migrate, slot, source)


async def test_a_failover_in_good_order(database, redis_cluster):
    items = one_on_each(redis_cluster, database)
    changes = Changes(database, redis_cluster)
    await warmed(database, *items)
    async with readers(database, changes, *items) as too_old:
        for _ in range(2):
            await asyncio.to_thread(redis_cluster.failover, redis_cluster.primaries[0])
            for item in items:
                await asyncio.to_thread(changes.change, item)
            await asyncio.sleep(2 * MAX_LAG_SECONDS)  # for reads that come too late
            await asyncio.to_thread(redis_cluster.settle)
            for item in items:
                await aeventually(lambda item=item: kept(database, item), within=REPLACED_SECONDS)
    assert too_old == []


@pytest.mark.parametrize("how", ["killed", "stopped", "stopped, replaced and woken"])
async def test_a_primary_that_is_lost(database, redis_cluster, how):
    items = one_on_each(redis_cluster, database)
    lost = redis_cluster.primaries[0]
    slot = redis_cluster.slot_of(database.read.key_for(items[0]))
    changes = Changes(database, redis_cluster)
    await warmed(database, *items)
    async with readers(database, changes, *items) as too_old:
        (redis_cluster.kill if how == "killed" else redis_cluster.stop)(lost)
        if how != "stopped":
            await replaced(redis_cluster, lost, slot)
            await asyncio.to_thread(changes.change, items[0])
        before = near_hits(database)
        await asyncio.to_thread(changes.change, items[1])
        await aeventually(lambda: near_hits(database) > before + 10, within=REPLACED_SECONDS)
        if how != "killed":
            redis_cluster.cont(lost)
        await asyncio.sleep(2 * MAX_LAG_SECONDS)  # for reads that come too late
        await asyncio.to_thread(changes.change, items[0])
        for item in items:
            await aeventually(lambda item=item: kept(database, item), within=REPLACED_SECONDS)
        await asyncio.sleep(2 * MAX_LAG_SECONDS)
    assert too_old == []
