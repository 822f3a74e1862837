"""docs/production.md: its ACL users run every command, on one server, on a cluster and behind Sentinel."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest

from langcache_cli.caching._config.rights import Kind, setuser_line
from tests.harness.cli import run_cli
from tests.harness.redis_server import RedisServer
from tests.integration.cache_support import Database, cache_at

COMMANDS = (
    ("check", "--roundtrip"),
    ("warm", "--sample"),
    ("stats",),
    ("bench", "--sample", "--duration", "0.02", "--repeat", "1"),
    ("clear", "--all", "--yes"),
)

GiveUser = Callable[[Kind, Sequence[RedisServer]], None]


@pytest.fixture
def give_user() -> Iterator[GiveUser]:
    """Give servers the smallest user of their kind, which the page shows."""
    with ExitStack() as given:

        def give(kind: Kind, servers: Sequence[RedisServer]) -> None:
            for server in servers:
                server.command(*setuser_line(kind).split())
                given.callback(server.command, "ACL", "DELUSER", "app")

        yield give


async def uses(url: str) -> None:
    """Everything that a backend and the command do works with this URL."""
    async with cache_at(url) as cache:
        database = Database(cache, tags=("word:{item}",), stale_ttl=60)
        assert await database.read(1) == await database.read(1) == [1, 0]
        assert await database.read.invalidate(1)
        assert await cache.invalidate_tags("word:1")
        assert await database.read.refresh(1) == [1, 0]
        assert await cache.invalidate("cache:*") == 1
        assert cache.pending_invalidations == 0
    for line in COMMANDS:
        ended = run_cli(*line, env={"REDIS_URL": url})
        assert ended.code == 0, (line, ended.stderr)


async def test_the_line_for_one_server_is_enough(own_redis, give_user):
    server = own_redis()
    give_user("one", [server])
    await uses(f"redis://app:password@127.0.0.1:{server.port}/0")


async def test_the_line_for_the_nodes_of_a_cluster_is_enough(redis_cluster, give_user):
    give_user("cluster", redis_cluster.nodes)
    await uses(redis_cluster.url.replace("://", "://app:password@"))


async def test_the_lines_behind_sentinel_are_enough(sentinel_set, give_user):
    give_user("one", sentinel_set.nodes)
    give_user("sentinel", sentinel_set.sentinels)
    hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinel_set.sentinels)
    query = "sentinel_username=app&sentinel_password=password"
    await uses(f"redis+sentinel://app:password@{hosts}/{sentinel_set.service}/0?{query}")
