"""Calls that wait for a load of another process are woken when it ends; looking now and then is only the net.

The other process is another cache here: caches share nothing but the server.
"""

import asyncio

import pytest

from langcache_cli.caching._loading import remote_load
from tests.harness.polling import aeventually
from tests.harness.shared_redis import clients_of
from tests.integration.cache_support import Database, waiting

CALLS = 20


@pytest.fixture
def patient(monkeypatch):
    """Waiting calls look only when they are woken: no test lasts as long as these pauses."""
    for pause in ("FIRST_PAUSE_SECONDS", "LAST_PAUSE_SECONDS", "WATCHED_PAUSE_SECONDS"):
        monkeypatch.setattr(remote_load, pause, 600.0)


def only_node(watch):
    [node] = watch._nodes.values()
    return node


async def wait_for_theirs(open_cache, url=None, **options):
    """A load that is held in one cache, and calls of another that wait for it and are woken by a change."""
    caches = [open_cache() if url is None else open_cache(url) for _ in range(2)]
    theirs, ours = (Database(cache, held=True, **options) for cache in caches)
    loading = asyncio.create_task(theirs.read(1))
    await theirs.gate.reached()
    calls = [asyncio.create_task(ours.read(1)) for _ in range(CALLS)]
    await aeventually(lambda: waiting(ours.cache) == CALLS, every=0.001)
    await aeventually(lambda: is_tracked(ours.cache), every=0.001)
    return theirs, ours, loading, calls


def is_tracked(cache) -> bool:
    watched = cache.runtime().key_watch._watched
    return bool(watched) and all(changes.tracked for key in watched.values() for changes in key)


@pytest.mark.parametrize("tags", [(), ("items",)], ids=["plain", "tagged"])
async def test_a_value_wakes_the_calls_of_other_processes(open_cache, patient, tags):
    theirs, ours, loading, calls = await wait_for_theirs(open_cache, tags=tags)
    theirs.gate.open()
    async with asyncio.timeout(10):
        assert await asyncio.gather(loading, *calls) == [[1, 0]] * (CALLS + 1)
    assert ours.reads == {}
    assert ours.cache.runtime().key_watch._watched == {}


async def test_a_failure_wakes_the_calls_of_other_processes(open_cache, patient):
    theirs, ours, loading, calls = await wait_for_theirs(open_cache)
    theirs.error = LookupError("no such word")
    theirs.gate.open()
    async with asyncio.timeout(10):
        errors = await asyncio.gather(loading, *calls, return_exceptions=True)
    assert [repr(error) for error in errors] == ["LookupError('no such word')"] * (CALLS + 1)
    assert ours.reads == {}


async def test_an_invalidation_wakes_the_calls_of_other_processes(open_cache, redis_server, patient):
    theirs, ours, loading, calls = await wait_for_theirs(open_cache)
    ours.gate.open()
    redis_server.command("DEL", ours.read.key_for(1))
    async with asyncio.timeout(10):
        assert await asyncio.gather(*calls) == [[1, 0]] * CALLS
    assert ours.reads == {1: 1}
    theirs.gate.open()
    await loading


async def test_flushing_the_server_wakes_all_calls_that_wait(open_cache, redis_server, patient):
    theirs, ours, loading, calls = await wait_for_theirs(open_cache)
    ours.gate.open()
    redis_server.command("FLUSHDB")
    async with asyncio.timeout(10):
        assert await asyncio.gather(*calls) == [[1, 0]] * CALLS
    theirs.gate.open()
    await loading


async def test_a_renewed_lease_is_watched_on(open_cache, redis_server, patient):
    theirs, ours, loading, calls = await wait_for_theirs(open_cache)
    for _ in range(3):
        assert redis_server.command("PEXPIRE", ours.read.key_for(1), 5000) == 1
        changes = next(iter(ours.cache.runtime().key_watch._watched[ours.read.key_for(1)]))
        await aeventually(lambda changes=changes: not changes.seen.is_set() and changes.tracked)
    theirs.gate.open()
    async with asyncio.timeout(10):
        assert await asyncio.gather(loading, *calls) == [[1, 0]] * (CALLS + 1)


async def test_a_lost_connection_wakes_calls_and_they_are_watched_over_the_next(
    open_cache, own_redis, patient
):
    server = own_redis()
    theirs, ours, loading, calls = await wait_for_theirs(open_cache, server.url)
    watch = ours.cache.runtime().key_watch
    made = only_node(watch).connections_made
    only_node(watch).connection.abort()
    await aeventually(lambda: only_node(watch).connections_made > made and is_tracked(ours.cache))
    theirs.gate.open()
    async with asyncio.timeout(10):
        assert await asyncio.gather(loading, *calls) == [[1, 0]] * (CALLS + 1)


async def test_where_redis_may_not_push_the_calls_look_now_and_then(open_cache, own_redis):
    server = own_redis()
    server.command("ACL", "SETUSER", "default", "-client")
    theirs, ours = (Database(open_cache(server.url), held=True) for _ in range(2))
    for item in range(2):
        loading = asyncio.create_task(theirs.read(item))
        await theirs.gate.reached(item + 1)
        calls = [asyncio.create_task(ours.read(item)) for _ in range(CALLS)]
        await aeventually(lambda: waiting(ours.cache) == CALLS)
        theirs.gate.open()
        assert await asyncio.gather(loading, *calls) == [[item, 0]] * (CALLS + 1)
        theirs.gate.shut()
    assert ours.reads == {}
    assert not ours.cache.runtime().key_watch._supported


async def test_the_calls_of_one_process_cost_one_watch_and_others_none(open_cache, own_redis, patient):
    server = own_redis()
    alone = Database(open_cache(server.url))
    for item in range(10, 20):
        await alone.read(item)
    assert clients_of(server) == 1
    server.command("CONFIG", "RESETSTAT")
    theirs, _, loading, calls = await wait_for_theirs(open_cache, server.url)
    assert b"cmdstat_pttl:calls=2," in server.command("INFO", "commandstats")  # one of them asks for the push
    theirs.gate.open()
    await asyncio.gather(loading, *calls)
