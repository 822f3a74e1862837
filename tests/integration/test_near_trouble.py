"""Entries in memory when something is wrong with the connection, the server or the value."""

import asyncio
import logging
import time
from typing import Annotated

import pytest
from pydantic import AfterValidator

from langcache_cli.caching import Cache
from langcache_cli.caching._near.generation import MAX_LAG_SECONDS
from tests.harness.polling import aeventually
from tests.harness.proxy import FaultProxy
from tests.harness.shared_redis import calls_of
from tests.integration.cache_support import Database
from tests.integration.near_support import SEEN_WITHIN_SECONDS, near_of, sees, warmed


@pytest.fixture
def database(cache) -> Database:
    return Database(cache, tags=("word:{item}", "all"), local_ttl=60)


async def test_a_value_read_while_it_was_changed_is_not_kept(open_cache, one_redis):
    """The reply is on its way when the change is heard: it must not be kept after that."""
    with FaultProxy(one_redis.port) as proxy:
        cache = open_cache(f"redis://127.0.0.1:{proxy.port}/0")
        database = Database(cache, local_ttl=60)
        await warmed(database, 1)
        near_of(cache).clear()
        proxy.delay(0.05, direction="replies")
        read = asyncio.create_task(database.read(1))
        await aeventually(lambda: cache.runtime().server.node.connection._connection._waiting, every=0.001)
        database.versions[1] = 1
        await cache.runtime().bulk_server.call("UNLINK", database.read.key_for(1))
        cache.runtime().forget([database.read.key_for(1)])
        assert await read == [1, 0]
        assert await database.read(1) == [1, 1]


class TestTrouble:
    async def test_a_connection_that_is_killed_takes_everything_with_it(self, open_cache, own_redis):
        server = own_redis()
        database = Database(open_cache(server.url), local_ttl=60)
        for version in range(1, 10):
            await warmed(database, 1)
            database.versions[1] = version
            with server.connect() as redis:  # nobody is there to hear of the change
                redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                redis.call("DEL", database.read.key_for(1))
            await aeventually(lambda v=version: sees(database, v), every=0.0, within=SEEN_WITHIN_SECONDS)

    async def test_a_restarted_server_is_asked(self, open_cache, own_redis):
        server = own_redis()
        database = Database(open_cache(server.url), local_ttl=60)
        await warmed(database, 1)
        database.versions[1] = 1
        server.restart(keep_data=False)
        await aeventually(lambda: sees(database, 1), within=10)
        await warmed(database, 1)

    @pytest.mark.parametrize("trouble", ["stopped", "swallowed"])
    async def test_a_silent_server_is_not_believed_for_long(self, open_cache, own_redis, trouble):
        server = own_redis()
        with FaultProxy(server.port) as proxy:
            cache = open_cache(f"redis://127.0.0.1:{proxy.port}/0", operation_timeout=0.25)
            database = Database(cache, local_ttl=60)
            await warmed(database, 1)
            if trouble == "stopped":
                server.pause()
            else:
                proxy.swallow()
            silent_since = time.monotonic()
            database.versions[1] = 1  # as another process could have told the new primary
            latest = 0.0
            while True:
                began = time.monotonic()
                if await database.read(1) == [1, 1]:
                    break
                latest = began - silent_since
            assert 0 < latest <= MAX_LAG_SECONDS
            if trouble == "stopped":
                server.resume()

    async def test_a_server_that_refuses_to_track_is_asked_every_time(self, open_cache, own_redis, caplog):
        server = own_redis()
        server.command("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-client")
        url = f"redis://app:secret@127.0.0.1:{server.port}/0"
        database = Database(open_cache(url), local_ttl=60)
        with caplog.at_level(logging.WARNING, "langcache_cli.caching"):
            for _ in range(3):
                assert await database.read(1) == [1, 0]
        before = calls_of(server, "mget")
        assert await database.read(1) == [1, 0]
        assert calls_of(server, "mget") == before + 1
        refused = [
            record.getMessage() for record in caplog.records if "near cache is off" in record.getMessage()
        ]
        assert len(refused) == 1
        assert "NOPERM" in refused[0]
        assert "grant it: ACL SETUSER app +client|tracking" in refused[0]

    async def test_while_an_invalidation_waits_nothing_is_served_from_here(self, open_cache, own_redis):
        server = own_redis()
        cache = open_cache(server.url, operation_timeout=0.25)
        database = Database(cache, local_ttl=60)
        await warmed(database, 1, 2)
        server.pause()
        database.versions[1] = database.versions[2] = 1
        await database.read.invalidate(1)
        assert cache.pending_invalidations
        assert await database.read(1) == [1, 1]
        assert await database.read(2) == [2, 1]
        server.resume()
        await aeventually(lambda: cache.pending_invalidations == 0, within=10)


def defined(cache: Cache, kind: type):
    """A function that a module defines, and defines again when it is reloaded."""
    source = """
@cached(key_prefix="near", local_ttl=60)
async def number(item: int) -> kind:
    return kind(item)
"""
    scope = {"cached": cache.cached, "kind": kind}
    exec(compile(source, "numbers.py", "exec", dont_inherit=True), scope)
    return scope["number"]


async def test_after_a_reload_a_value_has_the_type_of_the_new_annotation(cache):
    old = defined(cache, str)
    key = old.key_for(5)

    async def is_kept():
        assert await old(5) == "5"
        return near_of(cache).get(key, time.monotonic()) is not None

    await aeventually(is_kept)
    new = defined(cache, int)
    assert new.key_for(5) == key
    assert [await new(5) for _ in range(3)] == [5, 5, 5]


async def test_a_value_that_a_validator_takes_no_more_is_a_miss_in_memory_as_it_is_in_redis(cache):
    refused, runs = set(), []

    def check(text: str) -> str:
        if text in refused:
            raise ValueError(text)
        return text

    @cache.cached(key_prefix="near", local_ttl=60)
    async def words(item: int) -> list[Annotated[str, AfterValidator(check)]]:
        runs.append(item)
        return [f"word {len(runs)}"]

    async def is_kept():
        await words(1)
        return near_of(cache).get(words.key_for(1), time.monotonic()) is not None

    await aeventually(is_kept)
    refused.add("word 1")
    assert await words(1) == ["word 2"]
    assert runs == [1, 1]
