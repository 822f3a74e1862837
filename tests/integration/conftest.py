"""Fixtures of the tests that run the caching core against a real Redis."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from langcache_cli.caching import Cache
from langcache_cli.caching._protocol.lease import Lease, new_lease
from tests.harness.acl import as_smallest_user
from tests.harness.redis_cluster import RedisCluster
from tests.harness.redis_server import RedisServer
from tests.integration.cache_support import Database, cache_at, leftover_tasks
from tests.integration.one_key import OneKey
from tests.integration.outage import Outage
from tests.integration.protocol_cases import KEY

Program = Callable[[Cache], Awaitable[Any]]


@pytest.fixture
async def open_cache(redis_url: str) -> AsyncIterator[Callable[..., Cache]]:
    """`open_cache(url, **settings)`: caches of this test, closed after it; then nothing may be left.

    No task, and nothing that asyncio had to complain about, such as an exception nobody retrieved.
    """
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    caches: list[Cache] = []

    def open_one(url: str = redis_url, **settings: Any) -> Cache:
        caches.append(cache_at(url, **settings))
        return caches[-1]

    yield open_one
    for cache in caches:
        await cache.aclose()
    await asyncio.sleep(0)  # the transports of closed connections say goodbye in the next iteration
    assert leftover_tasks(is_closed=True) == []
    gc.collect(1)  # an exception that nobody retrieved is only noticed when its task goes
    assert complaints == []


@pytest.fixture
def cache(open_cache: Callable[..., Cache]) -> Cache:
    """A cache in the shared server."""
    return open_cache()


@pytest.fixture
def one_cache(open_cache: Callable[..., Cache], one_redis: RedisServer) -> Cache:
    """A cache in a single server, whatever the topology: its commands can be counted there."""
    return open_cache(one_redis.url)


@pytest.fixture
async def store(cache: Cache) -> OneKey:
    """The steps of the protocol, on one key."""
    return OneKey(cache.runtime().store)


@pytest.fixture
def lease() -> Lease:
    """A lease of that key, not taken yet."""
    return new_lease(KEY)


@pytest.fixture(params=["sqlite", "postgresql"])
async def engine(request, tmp_path):
    """A database with an empty table `words`."""
    url = f"sqlite+aiosqlite:///{tmp_path}/words.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url").replace("://", "+asyncpg://")
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE words (id int)"))
    yield engine
    await engine.dispose()


@pytest.fixture
async def session(engine):
    """A session on it."""
    async with AsyncSession(engine) as session:
        yield session


@pytest.fixture
async def words(cache) -> Database:
    """Entries 1 to 4 are in the cache."""
    database = Database(cache, tags=("word:{item}",))
    for item in (1, 2, 3, 4):
        await database.read(item)
    return database


@pytest.fixture
def compare(open_cache: Callable[..., Cache]) -> Callable[[Program], Awaitable[Any]]:
    """Runs a program without and with a cache; the outcome, which is the same, and it did use the cache."""

    async def run(program: Program) -> Any:
        without = await program(open_cache(redis_enabled=False))
        cache = open_cache()
        assert await program(cache) == without
        assert (await cache.stats())["hits"] > 0
        return without

    return run


@pytest.fixture
def break_it(own_redis, fault_proxy) -> Callable[[str], Outage]:
    """`break_it(name)`: an outage of a server of its own, which has not begun yet."""

    def make(name: str) -> Outage:
        server = own_redis()
        return Outage(server, fault_proxy(server.port), name)

    return make


@pytest.fixture(scope="session")
def _bare_cluster() -> Iterator[RedisCluster]:
    with as_smallest_user(RedisCluster, 3, 0, node_timeout=60_000) as cluster:
        yield cluster


@pytest.fixture
def bare_cluster(_bare_cluster: RedisCluster) -> Iterator[RedisCluster]:
    """Three primaries without replicas: none is replaced, and a short stop is noticed by no other."""
    _bare_cluster.flush()
    yield _bare_cluster
    for node in _bare_cluster.nodes:
        if node.running:
            _bare_cluster.cont(node)
