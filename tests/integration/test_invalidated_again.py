"""What was invalidated in the last minute is invalidated again when a connection leads to another server."""

import contextlib
import re

import pytest

from langcache_cli.caching import CacheError
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database

QUICK = {"operation_timeout": 0.5, "stats_flush_seconds": 0.05}


@pytest.fixture
def server(own_redis):
    """A server that keeps its data over a restart."""
    return own_redis(config=["appendonly yes", "appendfsync always"])


async def test_after_a_failover_what_was_invalidated_in_the_last_minute_is_invalidated_again(
    open_cache, server
):
    database = Database(open_cache(server.url, **QUICK))
    for item in (1, 2):
        await database.read(item)
    old = {item: server.command("DUMP", database.read.key_for(item)) for item in (1, 2)}
    database.versions[1] = 1
    assert await database.read.invalidate(1)
    server.restart(keep_data=False)
    for item, data in old.items():  # as on a replica that had not heard of it yet
        server.command("RESTORE", database.read.key_for(item), 0, data)
    assert await database.read(1) == [1, 1]
    await aeventually(lambda: database.cache.pending_invalidations == 0)
    assert await database.read(1) == [1, 1]
    assert await database.read(2) == [2, 0]
    assert database.reads[2] <= 2


async def test_after_a_failover_plain_values_are_not_read_before_it_has_been_told(open_cache, server):
    cache = open_cache(server.url, **QUICK)
    await cache.set("user_stats:1", "old")
    old = server.command("DUMP", "cache:user_stats:1")
    assert await cache.delete("user_stats:1") == 1
    server.restart(keep_data=False)
    server.command("RESTORE", "cache:user_stats:1", 0, old)
    assert await cache.get("user_stats:1") is None
    await aeventually(lambda: cache.pending_invalidations == 0)
    assert await cache.get("user_stats:1") is None


async def test_after_a_failover_patterns_and_types_are_told_again(open_cache, server):
    cache = open_cache(server.url, **QUICK)
    database = Database(cache)
    await database.read(1)
    old = server.command("DUMP", database.read.key_for(1))
    database.versions[1] = 1
    await cache.invalidate_type("vocabulary")
    server.restart(keep_data=False)
    server.command("RESTORE", database.read.key_for(1), 0, old)
    assert await database.read(1) == [1, 1]
    await aeventually(lambda: cache.pending_invalidations == 0)
    assert await database.read(1) == [1, 1]


async def test_the_last_minute_is_told_by_the_next_event_loop_too(open_cache, server):
    database = Database(open_cache(server.url, **QUICK))
    await database.read(1)
    old = server.command("DUMP", database.read.key_for(1))
    database.versions[1] = 1
    assert await database.read.invalidate(1)
    await database.cache.aclose()  # as when the loop ends; the next one connects anew
    server.restart(keep_data=False)
    server.command("RESTORE", database.read.key_for(1), 0, old)
    assert await database.read(1) == [1, 1]
    await aeventually(lambda: database.cache.pending_invalidations == 0)
    assert await database.read(1) == [1, 1]


async def test_the_same_server_is_not_told_again_by_the_next_event_loop(open_cache, server):
    cache = open_cache(server.url, **QUICK)
    database = Database(cache, tags=("word",))
    await database.read(1)
    await database.read.invalidate(1)
    await cache.invalidate_tags("word")
    await cache.invalidate("cache:vocabulary:*")
    await cache.invalidate_type("vocabulary")
    await cache.aclose()
    assert await database.read(1) == [1, 0]
    await cache.aclose()
    assert await database.read(1) == [1, 0]
    assert database.reads == {1: 2}
    assert cache.pending_invalidations == 0


async def test_a_lost_connection_to_the_same_server_removes_nothing(open_cache, server):
    database = Database(open_cache(server.url, **QUICK))
    await database.read.invalidate(1)
    assert await database.read(1) == [1, 0]
    server.command("CLIENT", "KILL", "TYPE", "normal")
    await aeventually(lambda: database.cache.runtime().server.node.connections_made == 2)
    assert await database.read(1) == [1, 0]
    assert database.reads == {1: 1}
    assert database.cache.pending_invalidations == 0


async def test_without_the_right_to_ask_a_lost_connection_may_lead_to_another_server(open_cache, server):
    server.command("ACL", "SETUSER", "default", "-info")
    database = Database(open_cache(server.url, **QUICK))
    await database.read.invalidate(1)
    await database.cache.aclose()
    assert await database.read(1) == [1, 0]
    assert await database.read(1) == [1, 0]
    assert database.reads == {1: 1}  # a new event loop has lost no connection
    key, old = database.read.key_for(1), server.command("DUMP", database.read.key_for(1))
    database.versions[1] = 1
    await database.read.invalidate(1)
    server.command("RESTORE", key, 0, old)
    server.command("CLIENT", "KILL", "TYPE", "normal")
    await aeventually(lambda: database.cache.runtime().server.node.connections_made == 2)
    assert await database.read(1) == [1, 1]
    await aeventually(lambda: database.cache.pending_invalidations == 0)
    assert await database.read(1) == [1, 1]


async def test_a_primary_that_was_demoted_is_left(open_cache, server):
    database = Database(open_cache(server.url, **QUICK))
    await database.read(1)
    link = database.cache.runtime().server.node.connection._connection
    server.command("REPLICAOF", "127.0.0.1", "1")
    await database.read.invalidate(1)
    assert not link.alive
    server.command("REPLICAOF", "NO", "ONE")
    await aeventually(lambda: database.cache.pending_invalidations == 0)
    assert server.command("EXISTS", database.read.key_for(1)) == 0


async def test_what_waits_for_another_server_is_searched_for_in_one_pass(open_cache, server):
    cache = open_cache(server.url, **QUICK)
    database = Database(cache)
    await database.read(1)
    old = server.command("DUMP", database.read.key_for(1))
    for number in range(100):
        await cache.invalidate(f"cache:quiz:{number}:*")
    database.versions[1] = 1
    await cache.invalidate("cache:vocabulary:*:1")
    await cache.invalidate("cache:vocabulary:*(1)")
    await cache.invalidate_type("vocabulary")
    server.restart(keep_data=False)
    for number in range(3000):
        server.command("SET", f"foreign:{number}", "1")
    server.command("RESTORE", database.read.key_for(1), 0, old)
    server.command("CONFIG", "RESETSTAT")
    assert await database.read(1) == [1, 1]  # over the connection that has ended
    await aeventually(lambda: is_connected(cache))
    await aeventually(lambda: cache.pending_invalidations == 0)
    assert 10 <= calls_of(server, "scan") < 30
    assert await database.read(1) == [1, 1]


async def is_connected(cache) -> bool:
    with contextlib.suppress(CacheError):
        return await cache.ping() > 0
    return False


def calls_of(server, command: str) -> int:
    statistics = server.command("INFO", "commandstats").decode()
    found = re.search(rf"cmdstat_{command}:calls=(\d+)", statistics)
    return int(found[1]) if found else 0


async def test_an_idle_process_tells_the_next_server_what_it_has_invalidated(open_cache, server):
    database = Database(open_cache(server.url, **QUICK))
    await database.read(1)
    old = server.command("DUMP", database.read.key_for(1))
    assert await database.read.invalidate(1)
    server.kill()
    server._forget_data()
    server.start()
    server.command("RESTORE", database.read.key_for(1), 0, old)
    await aeventually(lambda: server.command("EXISTS", database.read.key_for(1)) == 0)


async def test_a_process_that_has_invalidated_nothing_lately_stays_idle(open_cache, server):
    database = Database(open_cache(server.url, **QUICK))
    await database.read(1)
    server.command("CLIENT", "KILL", "TYPE", "normal")
    runtime = database.cache.runtime()
    await aeventually(lambda: not runtime.server.node.connection.alive)
    await runtime.background.finish(1)
    assert not runtime.server.node.connection.alive
