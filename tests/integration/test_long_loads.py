"""A lease lasts as long as its load, up to LOAD_TIMEOUT; other processes wait for that load, or take over."""

import asyncio
import signal

from langcache_cli.caching._protocol.entry import Placeholder, parse
from tests.harness.polling import aeventually, eventually
from tests.integration.cache_support import Database, python


async def test_a_load_longer_than_its_lease_keeps_it(open_cache, redis_server):
    cache = open_cache(lease_seconds=0.3)
    database = Database(cache, held=True)
    call = asyncio.create_task(database.read(1))
    await database.gate.reached()
    key = database.read.key_for(1)
    token = parse(redis_server.command("GET", key)).id
    longer = asyncio.get_running_loop().time() + 3 * 0.3
    await aeventually(lambda: asyncio.get_running_loop().time() > longer)
    assert parse(redis_server.command("GET", key)).id == token
    database.gate.open()
    assert await call == [1, 0]
    assert await database.read(1) == [1, 0]
    assert database.reads == {1: 1}


async def test_a_load_beyond_its_time_loses_the_lease_and_is_not_stored(open_cache, redis_server):
    cache = open_cache(lease_seconds=0.2, load_timeout=0.5)
    database = Database(cache, held=True)
    slow = asyncio.create_task(database.read(1))
    await database.gate.reached()
    key = database.read.key_for(1)
    await aeventually(lambda: redis_server.command("EXISTS", key) == 0)
    database.versions[1] = 1
    next_call = asyncio.create_task(database.read(1))
    await database.gate.reached(2)
    database.gate.open()
    assert await next_call == [1, 1]
    assert await slow == [1, 1]
    assert await database.read(1) == [1, 1]


STOPPED = """
import asyncio, sys
from tests.integration.cache_support import Database, cache_at

async def main(url):
    cache = cache_at(url, lease_seconds=0.3)
    database = Database(cache, held=True)
    call = asyncio.create_task(database.read(1))
    await database.gate.reached()
    print("loading", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    database.gate.open()
    print(await call, cache.statistics_of(database.read)["refused"], flush=True)
    await cache.aclose()

asyncio.run(main(sys.argv[1]))
"""


async def test_a_stopped_process_loses_its_lease_and_its_late_value_is_refused(
    cache, redis_url, redis_server
):
    database = Database(cache)
    database.versions[1] = 1
    with python("-c", STOPPED, redis_url) as process:
        assert process.stdout.readline() == "loading\n"
        assert isinstance(parse(redis_server.command("GET", database.read.key_for(1))), Placeholder)
        process.send_signal(signal.SIGSTOP)
        eventually(lambda: redis_server.command("EXISTS", database.read.key_for(1)) == 0)
        assert await database.read(1) == [1, 1]
        process.send_signal(signal.SIGCONT)
        output, errors = process.communicate("go\n", timeout=30)
    assert (output, errors) == ("[1, 1] 1\n", "")  # refused, and given what is stored
    assert await database.read(1) == [1, 1]


async def test_a_call_waits_for_the_load_of_another_process_and_gets_its_value(cache, open_cache):
    theirs, ours = Database(cache, held=True), Database(open_cache())
    loading = asyncio.create_task(theirs.read(1))
    await theirs.gate.reached()
    waiting = [asyncio.create_task(ours.read(1)) for _ in range(5)]
    await aeventually(lambda: len(ours.cache.runtime().running_loads) == 1)
    theirs.gate.open()
    assert await loading == [1, 0]
    values = await asyncio.gather(*waiting)
    assert values == [[1, 0]] * 5
    assert len({id(value) for value in values}) == 5
    assert ours.reads == {}


async def test_a_call_loads_for_itself_when_the_load_of_another_process_takes_too_long(
    cache, open_cache, redis_server
):
    theirs, ours = Database(cache, held=True), Database(open_cache(load_timeout=0.3))
    loading = asyncio.create_task(theirs.read(1))
    await theirs.gate.reached()
    placeholder = redis_server.command("GET", ours.read.key_for(1))
    assert await ours.read(1) == [1, 0]
    assert redis_server.command("GET", ours.read.key_for(1)) == placeholder
    theirs.gate.open()
    await loading
    assert await ours.read(1) == [1, 0]
    assert ours.reads == {1: 1}
