"""A name that leads to another server after a failover, while the old primary lives on as its replica."""

import pytest

from langcache_cli.caching._wire import connector
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database


@pytest.fixture
def pair(own_redis):
    """A primary, and a replica that has its data."""
    primary = own_redis()
    replica = own_redis(replicaof=primary)
    return primary, replica


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch):
    monkeypatch.setattr(connector, "FIRST_LOOK_SECONDS", 0.05, raising=False)


async def test_a_program_that_only_reads_leaves_a_replica(open_cache, pair, fault_proxy):
    primary, replica = pair
    name = fault_proxy(primary.port)
    database = Database(open_cache(f"redis://127.0.0.1:{name.port}/0"))
    await database.read(1)
    await aeventually(lambda: replica.command("EXISTS", database.read.key_for(1)) == 1)
    await database.cache.aclose()
    name.target = ("127.0.0.1", replica.port)
    assert await database.read(1) == [1, 0]
    node = database.cache.runtime().server.node
    assert node.connection.server.is_replica
    await aeventually(lambda: name.connections >= 4)  # it looks again and again
    assert node.connections_made == 1  # and stays meanwhile
    name.target = ("127.0.0.1", primary.port)
    await aeventually(lambda: not node.connection.server.is_replica)
    assert await database.read(1) == [1, 0]
    assert database.reads == {1: 1}


async def test_a_program_that_writes_finds_the_new_primary(open_cache, pair, fault_proxy):
    primary, replica = pair
    name = fault_proxy(primary.port)
    database = Database(open_cache(f"redis://127.0.0.1:{name.port}/0", operation_timeout=0.5))
    await database.read(1)
    await aeventually(lambda: replica.command("EXISTS", database.read.key_for(1)) == 1)
    replica.command("REPLICAOF", "NO", "ONE")
    primary.command("REPLICAOF", "127.0.0.1", str(replica.port))
    name.target = ("127.0.0.1", replica.port)
    await aeventually(lambda: stores(database, replica))
    assert await database.cache.set("user_stats:1", 1)
    assert replica.command("EXISTS", "cache:user_stats:1") == 1


async def stores(database, server) -> bool:
    await database.read(2)
    return server.command("EXISTS", database.read.key_for(2)) == 1
