"""Details of the atomic steps that only a server of its own, or a long life, shows."""

import pytest

from langcache_cli.caching._errors import ServerReplyError
from langcache_cli.caching._protocol.lease import new_lease
from langcache_cli.caching._wire.budget import Budget
from tests.integration.cache_support import PATIENCE_SECONDS, Database

TAG = "cache@tag:word:1"


def budget() -> Budget:
    return Budget(PATIENCE_SECONDS)


async def test_a_tag_lives_as_long_as_the_longest_entry_that_records_it(cache, redis_server):
    store = cache.runtime().store
    (version,) = await store.tag_versions([TAG], 1_000, budget())
    assert redis_server.command("PTTL", TAG) <= 2_000
    assert await store.tag_versions([TAG], 60_000, budget()) == (version,)
    assert 60_000 < redis_server.command("PTTL", TAG) <= 120_000


async def test_it_is_prolonged_only_when_it_must_be(cache, redis_server):
    store = cache.runtime().store
    await store.tag_versions([TAG], 60_000, budget())
    await store.tag_versions([TAG], 30_000, budget())
    assert redis_server.command("PTTL", TAG) > 60_000
    redis_server.command("PEXPIRE", TAG, 50_000)
    await store.tag_versions([TAG], 30_000, budget())
    assert redis_server.command("PTTL", TAG) <= 50_000


async def test_an_entry_that_the_server_does_not_show_is_not_replaced_by_a_lease(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url)
    database = Database(cache)
    await database.read(1)
    stored = server.command("GET", database.read.key_for(1))
    server.command("ACL", "SETUSER", "default", "-getrange")
    (reply,) = await cache.runtime().store.acquire([new_lease(database.read.key_for(1))], budget())
    assert isinstance(reply, ServerReplyError)
    assert server.command("GET", database.read.key_for(1)) == stored


@pytest.mark.parametrize("kind", ["list", "hash"])
async def test_a_key_of_another_type_is_replaced(cache, redis_server, kind):
    database = Database(cache)
    key = database.read.key_for(1)
    redis_server.command(*(("RPUSH", key, "x") if kind == "list" else ("HSET", key, "x", "y")))
    assert await database.read(1) == await database.read(1) == [1, 0]
    assert database.reads == {1: 1}
