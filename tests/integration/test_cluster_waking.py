"""A call that waits for another process' load is woken by the node that has its key."""

import asyncio

from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, waiting


async def test_a_value_wakes_the_calls_of_other_caches_on_every_node(open_cache, redis_cluster):
    one, other = open_cache(redis_cluster.url), open_cache(redis_cluster.url)
    database = Database(one, held=True)
    read_elsewhere = database.again(other)
    items = range(12)
    assert len({redis_cluster.node_of(database.read.key_for(item)) for item in items}) == 3
    loading = [asyncio.create_task(database.read(item)) for item in items]
    await database.gate.reached(len(items))
    calls = [asyncio.create_task(read_elsewhere(item)) for item in items]
    watch = other.runtime().key_watch

    def all_are_tracked() -> bool:
        changes = [one for of_key in watch._watched.values() for one in of_key]
        return len(changes) == len(items) and all(one.tracked for one in changes)

    await aeventually(lambda: waiting(other) and all_are_tracked())
    assert len(watch._nodes) == 3
    database.gate.open()
    expected = [[item, 0] for item in items]
    assert await asyncio.gather(*loading) == expected
    assert await asyncio.gather(*calls) == expected
    assert database.reads.total() == len(items)
