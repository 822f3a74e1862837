"""Servers that answer and yet cannot hold a cache: the health page, the numbers and the log say so."""

import contextlib
import itertools
import re

import pytest

from langcache_cli.caching._wire import connector
from langcache_cli.caching.testing import memory_cache
from tests.harness.polling import aeventually, eventually
from tests.harness.ports import LOCALHOST
from tests.harness.resp import RespError
from tests.integration.test_fastapi import application, running


def cluster_node(own_redis):
    return own_redis(config=["cluster-enabled yes"]).url


def cluster_node_with_slots(own_redis):
    server = own_redis(config=["cluster-enabled yes"])
    server.command("CLUSTER", "ADDSLOTS", *range(16384))
    eventually(lambda: b"cluster_state:ok" in server.command("CLUSTER", "INFO"))
    return server.url


def replica(own_redis):
    return linked(own_redis).url


def writable_replica(own_redis):
    server = linked(own_redis)
    server.command("CONFIG", "SET", "replica-read-only", "no")
    return server.url


def linked(own_redis):
    server = own_redis(replicaof=own_redis())
    eventually(lambda: b"master_link_status:up" in server.command("INFO", "replication"), within=60)
    return server


def full_server(own_redis):
    server = own_redis(maxmemory="16mb", policy="noeviction")
    with server.connect() as connection, contextlib.suppress(RespError):
        for number in itertools.count():
            connection.call("SET", f"filler:{number}", "x" * 1000)
    return server.url


def missing_right(own_redis):
    server = own_redis()
    server.command("ACL", "SETUSER", "app", "on", ">pw", "~cache:*", "~cache@*", "+@all", "-evalsha")
    return server.url.replace("://", "://app:pw@")


SERVERS = {
    cluster_node: "REDIS_URL names a node of a Redis Cluster",
    cluster_node_with_slots: "REDIS_URL names a node of a Redis Cluster",
    replica: rf"REDIS_URL names a replica; set it to its primary, {LOCALHOST}:\d+",
    writable_replica: rf"REDIS_URL names a replica; set it to its primary, {LOCALHOST}:\d+",
    full_server: "OOM",
    missing_right: "evalsha",
}


@pytest.mark.parametrize(("make", "says"), SERVERS.items(), ids=[make.__name__ for make in SERVERS])
async def test_the_health_page_is_degraded_and_says_why(make, says, open_cache, own_redis):
    cache = open_cache(make(own_redis))
    async with running(application(cache, degraded_status=503)) as client:
        answer = await client.get("/health/cache")
    assert answer.status_code == 503
    stats = answer.json()["stats"]
    assert (stats["reachable"], stats["usable"]) == (True, False)
    assert re.search(says, stats["error"]), stats["error"]


async def test_a_full_server_that_evicts_is_usable(open_cache, own_redis):
    server = own_redis(maxmemory="4mb", policy="allkeys-lru")
    for number in range(100):
        server.command("SET", f"filler:{number}", "x" * 2**16)
    stats = await open_cache(server.url).stats()
    assert (stats["usable"], stats["error"]) == (True, "")


async def test_a_cache_in_memory_is_usable():
    async with memory_cache() as cache:
        assert (await cache.stats())["usable"]


async def test_a_good_server_is_usable_and_the_numbers_write_nothing(cache, redis_server):
    before = redis_server.command("DBSIZE")
    stats = await cache.stats()
    assert (stats["reachable"], stats["usable"], stats["error"]) == (True, True, "")
    assert redis_server.command("DBSIZE") == before


async def test_the_log_says_once_that_a_url_names_a_replica_and_once_that_it_does_no_more(
    open_cache, own_redis, caplog, monkeypatch
):
    monkeypatch.setattr(connector, "FIRST_LOOK_SECONDS", 0.05)
    primary = own_redis()
    server = own_redis(replicaof=primary)
    cache = open_cache(server.url)

    def lines() -> list[str]:
        return [text for text in caplog.messages if text.startswith("REDIS_URL")]

    for _ in range(3):
        await cache.set("user_stats:1", 1)
        await cache.get("user_stats:1")
    (line,) = lines()
    assert f"names a replica (redis://{LOCALHOST}:{server.port}/0)" in line
    assert f"Set it to the primary, {LOCALHOST}:{primary.port}" in line
    server.command("REPLICAOF", "NO", "ONE")

    async def stores() -> bool:
        return await cache.set("user_stats:1", 1) and len(lines()) > 1

    await aeventually(stores)
    assert "leads to a primary again" in lines()[1]
