"""Keys and memory by type on real servers: counted while they are few, drawn at random when they are many."""

import pytest

from langcache_cli.operations.overview import keyspace
from langcache_cli.operations.overview.keyspace import KeyspaceWatch
from tests.harness.acl import grant, kind_of, url_for
from tests.integration.cache_support import Database


def fill(command, own: int, others: int) -> None:
    for number in range(own):
        command("SET", f"cache:vocabulary:f:{number}", 100 * "x", "PX", 10**7)
    for number in range(others):
        command("SET", f"celery:{number}", 50 * "x")


async def test_few_keys_are_counted_and_counted_again_after_a_while(cache, redis_server):
    fill(redis_server.command, 40, 10)
    now = 0.0
    watch = KeyspaceWatch(cache, clock=lambda: now)
    census = await watch.look()
    assert census.exact
    assert (census.of_type("vocabulary")["keys"], census.of_type("")["keys"]) == (40, 10)
    assert census.of_type("vocabulary")["bytes"] > 40 * 100
    redis_server.command("UNLINK", "cache:vocabulary:f:1")
    assert (await watch.look()).of_type("vocabulary")["keys"] == 40  # just counted
    now = 0.2  # there are fewer
    assert (await watch.look()).of_type("vocabulary")["keys"] == 39
    redis_server.command("UNLINK", "celery:2")
    redis_server.command("SET", "cache:vocabulary:f:new", "x")
    assert (await watch.look()).of_type("vocabulary")["keys"] == 39  # as many as before
    now += keyspace.COUNTED_AGAIN_SECONDS
    assert (await watch.look()).of_type("vocabulary")["keys"] == 40
    redis_server.command("UNLINK", "cache:vocabulary:f:2")
    watch.forget()
    assert (await watch.look()).of_type("vocabulary")["keys"] == 39


async def test_counters_and_tags_are_neither_entries_nor_keys_of_others(cache, redis_server):
    fill(redis_server.command, 4, 3)
    redis_server.command("SET", "cache@tag:word:1", 500 * "v", "PX", 10**7)
    redis_server.command("SET", "cached:1", "x")
    census = await KeyspaceWatch(cache).look()
    document = census.keyspace()
    assert (document["own"]["keys"], document["other"]["keys"]) == (1, 4)
    assert document["own"]["bytes"] > 500
    assert census.types == {"vocabulary"}
    assert {one["key"] for one in census.biggest()} == {f"cache:vocabulary:f:{number}" for number in range(4)}
    assert sum(end["keys"] for end in document["ends"]) == 4


async def test_many_keys_are_drawn_and_the_draws_add_up(cache, redis_server, monkeypatch):
    monkeypatch.setattr(keyspace, "EXACT_BELOW", 50)
    fill(redis_server.command, 300, 100)
    now = 0.0
    watch = KeyspaceWatch(cache, first_draws=900, clock=lambda: now)
    census = await watch.look()
    assert not census.exact
    assert census.database_keys == 400
    found = census.of_type("vocabulary")
    assert abs(found["keys"] - 300) <= 2 * found["keys_error"]
    assert found["bytes_error"] > 0
    first = census.keyspace()["sampled"]
    second = (await watch.look()).keyspace()["sampled"]
    assert abs(second - first - keyspace.DRAWS) <= 5
    now = keyspace.KEPT_SECONDS + 1
    assert (await watch.look()).keyspace()["sampled"] <= keyspace.DRAWS + 5
    exact = await KeyspaceWatch(cache, always_exact=True).look()
    assert exact.exact
    assert exact.of_type("vocabulary")["keys"] == 300


@pytest.mark.parametrize("right", ["+randomkey", "+memory|usage", "+scan", "+dbsize"])
async def test_a_missing_right_is_a_problem_and_no_error(open_cache, one_redis, monkeypatch, right):
    fill(one_redis.command, 100, 10)
    grant([one_redis], kind_of(one_redis.url), without=[right])
    if right == "+randomkey":
        monkeypatch.setattr(keyspace, "EXACT_BELOW", 50)
    cache = open_cache(url_for(one_redis.url))
    census = await KeyspaceWatch(cache).look()
    assert right.removeprefix("+").split("|")[0] in census.problem
    if right == "+memory|usage":
        assert census.of_type("vocabulary") == {"keys": 100, "keys_error": 0, "bytes": 0, "bytes_error": 0}


async def test_the_smallest_user_sees_its_own_keys_and_counts_the_others(open_cache, one_redis):
    fill(one_redis.command, 20, 10)
    grant([one_redis], kind_of(one_redis.url))
    census = await KeyspaceWatch(open_cache(url_for(one_redis.url))).look()
    assert census.problem == ""
    assert (census.of_type("vocabulary")["keys"], census.of_type("")["keys"]) == (20, 10)


async def test_the_overview_says_what_it_has_counted(cache):
    database = Database(cache)
    for item in range(5):
        await database.read(item)
    census = await KeyspaceWatch(cache).look()
    assert census.of_type("vocabulary")["keys"] == 5
    assert census.keyspace()["problem"] == ""
