"""What ends a wait for the load of another call: its lease, the end of the old entry, its own time."""

import asyncio

from langcache_cli.caching._clock import now_ms
from langcache_cli.caching._protocol.entry import Entry, parse
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, waiting


async def test_a_load_that_hangs_keeps_its_lease_no_longer_than_it_may_take(open_cache, redis_server):
    database = Database(open_cache(load_timeout=0.3, lease_seconds=0.2), held=True)
    call = asyncio.create_task(database.read(1))
    await database.gate.reached()
    await aeventually(lambda: redis_server.command("EXISTS", database.read.key_for(1)) == 0)
    database.gate.open()
    assert await call == [1, 0]


async def test_a_call_that_comes_late_to_a_hung_load_waits_only_for_what_is_left_of_its_time(open_cache):
    patience = 1.5
    database = Database(open_cache(load_timeout=patience - 1.0, lease_seconds=1.0), held=True)
    calls = [asyncio.create_task(database.read(1))]
    await database.gate.reached()
    (flight,) = database.cache.runtime().running_loads._by_token.values()
    flight.began -= 60.0  # a minute ago
    calls.append(asyncio.create_task(database.read(1)))
    began = asyncio.get_running_loop().time()
    await database.gate.reached(2)
    assert asyncio.get_running_loop().time() - began < patience
    database.gate.open()
    assert await asyncio.gather(*calls) == [[1, 0], [1, 0]]


async def test_an_entry_past_its_end_is_not_served_while_its_successor_is_being_loaded(
    open_cache, redis_server
):
    database = Database(open_cache(lease_seconds=30.0), ttl=60, stale_ttl=60)
    key, now = database.read.key_for(1), now_ms()
    await database.read(1)
    stored = parse(redis_server.command("GET", key))
    assert isinstance(stored, Entry)
    ended = stored._replace(
        created_ms=now - 180_000, fresh_until_ms=now - 120_000, leased_until_ms=now + 30_000
    )
    redis_server.command("SET", key, ended.to_bytes(), "PX", 30_000)  # as `outlive` keeps it
    database.versions[1] = 1
    call = asyncio.create_task(database.read(1))
    await aeventually(lambda: call.done() or waiting(database.cache) == 1)
    assert not call.done()
    redis_server.command("DEL", key)  # the other load has failed
    assert await call == [1, 1]


async def test_before_its_end_it_is_served(open_cache, redis_server):
    """Else the test above could not fail."""
    database = Database(open_cache(lease_seconds=30.0), ttl=60, stale_ttl=60)
    key, now = database.read.key_for(1), now_ms()
    await database.read(1)
    stored = parse(redis_server.command("GET", key))
    assert isinstance(stored, Entry)
    stale = stored._replace(fresh_until_ms=now - 1_000, leased_until_ms=now + 30_000)
    redis_server.command("SET", key, stale.to_bytes(), "PX", 30_000)
    database.versions[1] = 1
    assert await database.read(1) == [1, 0]
