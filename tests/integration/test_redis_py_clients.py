"""`get_redis_client()` is redis-py's client for what REDIS_URL names, and leaves nothing behind."""

from typing import Any

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from langcache_cli.caching import Cache, CacheSettings, get_redis_client, set_default_cache
from langcache_cli.caching._wire import redis_py_client
from langcache_cli.caching._wire.redis_py_client import close_client, new_client
from langcache_cli.caching.testing import memory_cache
from tests.integration.strict_python import complaints_of_python, run_python

USE = """
import asyncio, gc
from langcache_cli.caching import close_redis_client, get_redis_client

async def use(*, close=False):
    client = await get_redis_client()
    for number in range(20):
        await client.set(f"test:{number}", number)
        assert await client.get(f"test:{number}") == b"%d" % number
    values = await asyncio.gather(*(client.get(f"test:{number}") for number in range(20)))
    assert values == [b"%d" % number for number in range(20)]
    assert client is await get_redis_client()
    if close:
        await close_redis_client()
    return client
"""

PROGRAMS = {
    "closed": "asyncio.run(use(close=True))\nasyncio.run(use(close=True))",
    "ended with the loop": "asyncio.run(use())\nasyncio.run(use())",
    "closed without use": """
async def main():
    await get_redis_client()
    await close_redis_client()
asyncio.run(main())
""",
    "abandoned with the loop": """
loop = asyncio.new_event_loop()
loop.run_until_complete(use())
loop.close()
asyncio.run(use())  # drops what the loop before has left
""",
    "never connected": """
loop = asyncio.new_event_loop()
loop.run_until_complete(get_redis_client())
loop.close()
asyncio.run(use())
""",
}


@pytest.fixture(params=["one", "cluster", "sentinel"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "one":
        return request.getfixturevalue("one_redis").url
    return request.getfixturevalue("redis_cluster" if request.param == "cluster" else "sentinel_set").url


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_client_works_and_leaves_nothing_behind(url, tmp_path, program):
    file = tmp_path / "program.py"
    file.write_text(f"{USE}{program}\ngc.collect()\n")
    # the cache itself is switched off: this is about the client alone
    done = run_python(file, url, REDIS_ENABLED="false")
    assert (done.returncode, done.stdout, complaints_of_python(done.stderr)) == (0, "", [])


@pytest.fixture
def redis(own_redis):
    return own_redis()


@pytest.fixture
async def default(redis):
    """The default cache, on a Redis that may be stopped."""
    async with Cache(settings(redis.url, redis_enabled=True)) as cache:
        before = set_default_cache(cache)
        yield cache
        set_default_cache(before)


@pytest.mark.usefixtures("default")
async def test_the_first_call_asks_redis_until_it_has_answered_once(redis):
    redis.stop()
    for _ in range(2):
        with pytest.raises(RedisConnectionError):
            await get_redis_client()
    redis.start()
    client = await get_redis_client()
    assert await client.set("a", "1")
    redis.stop()
    assert await get_redis_client() is client


@pytest.mark.usefixtures("default")
async def test_the_first_call_does_not_wait_for_ever(redis, monkeypatch):
    monkeypatch.setattr(redis_py_client, "CONNECT_TIMEOUT_SECONDS", 0.1)
    redis.pause()
    with pytest.raises(RedisTimeoutError):
        await get_redis_client()


async def test_a_cluster_that_is_down_is_said_in_the_same_way():
    async with Cache(settings("redis+cluster://127.0.0.1:1", redis_enabled=True)) as cache:
        with pytest.raises(RedisConnectionError):
            await cache.runtime().client.answering()


async def test_the_client_of_a_disabled_cache_connects_at_its_first_command(redis):
    redis.stop()
    async with Cache(settings(redis.url, redis_enabled=False)) as cache:
        assert await cache.runtime().client.answering() is cache.client()


async def test_beside_a_cache_in_memory_no_redis_is_needed():
    async with memory_cache(redis_url="redis://127.0.0.1:1/0") as cache:
        assert await cache.runtime().client.answering() is cache.client()


async def test_a_client_for_a_cluster_knows_all_nodes_of_the_url(redis_cluster):
    client: Any = new_client(settings(redis_cluster.url))
    assert isinstance(client, RedisCluster)
    ports = {node.port for node in client.nodes_manager.startup_nodes.values()}
    assert ports == {node.port for node in redis_cluster.nodes}
    await close_client(client)


async def test_a_client_for_a_cluster_needs_one_node_of_the_url(redis_cluster):
    port = redis_cluster.nodes[2].port
    client = new_client(settings(f"redis+cluster://127.0.0.1:1,127.0.0.1:{port}"))
    await client.set("a", "1")
    assert await client.get("a") == b"1"
    await close_client(client)


async def test_a_client_behind_sentinel_talks_to_the_primary(sentinel_set):
    client = new_client(settings(sentinel_set.url))
    assert isinstance(client, Redis)
    assert (await client.info("server"))["tcp_port"] == sentinel_set.primary().port
    assert client.connection_pool.connection_kwargs["db"] == 0
    await close_client(client)


@pytest.mark.parametrize(
    ("url", "hidden"),
    [
        ("redis+cluster://u:hunter2@h1,h2", "hunter2"),
        ("redis+sentinel://u:hunter2@h1,h2/cache/3?sentinel_password=hunter3", "hunter3"),
    ],
)
async def test_options_and_logins_reach_the_client(url, hidden):
    options = f"{'&' if '?' in url else '?'}socket_timeout=7&health_check_interval=3"
    client: Any = new_client(settings(url + options))
    if isinstance(client, RedisCluster):
        given = client.connection_kwargs
    else:
        given = client.connection_pool.connection_kwargs
        (sentinel, _) = client.connection_pool.sentinel_manager.sentinels
        assert sentinel.connection_pool.connection_kwargs["password"] == "hunter3"
        assert sentinel.connection_pool.connection_kwargs["host"] == "h1"
        assert given["db"] == 3
    assert (given["username"], given["password"]) == ("u", "hunter2")
    assert (given["socket_timeout"], given["health_check_interval"]) == (7.0, 3)
    assert given["socket_connect_timeout"] == 5.0
    await close_client(client)


@pytest.mark.parametrize("scheme", ["rediss+cluster", "rediss+sentinel"])
async def test_tls_reaches_the_client(scheme):
    path = "/cache?sentinel_tls=false&" if scheme.endswith("sentinel") else "?"
    client: Any = new_client(settings(f"{scheme}://h1{path}ssl_ca_certs=/ca.pem"))
    if isinstance(client, RedisCluster):
        given, kind = client.connection_kwargs, client.connection_kwargs["connection_class"].__name__
    else:
        pool = client.connection_pool
        given, kind = pool.connection_kwargs, pool.connection_class.__name__
        (sentinel,) = pool.sentinel_manager.sentinels
        assert "SSL" not in sentinel.connection_pool.connection_class.__name__
    assert given["ssl_ca_certs"] == "/ca.pem"
    assert "SSL" in kind
    await close_client(client)


def settings(url: str, **changes: Any) -> CacheSettings:
    return CacheSettings.load(env_file=None, redis_url=url, **changes)
