"""docs/production.md: its ACL users run every command, on one server, on a cluster and behind Sentinel."""

from tests.harness.acl import grant, url_for
from tests.harness.cli import run_cli
from tests.integration.cache_support import Database, cache_at

COMMANDS = (
    ("check", "--roundtrip"),
    ("warm", "--sample"),
    ("stats",),
    ("bench", "--sample", "--duration", "0.02", "--repeat", "1"),
    ("clear", "--all", "--yes"),
)


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


async def test_the_line_for_one_server_is_enough(own_redis):
    server = own_redis()
    grant([server], "one")
    await uses(url_for(server.url))


async def test_the_line_for_the_nodes_of_a_cluster_is_enough(redis_cluster):
    grant(redis_cluster.nodes, "cluster")
    await uses(url_for(redis_cluster.url))


async def test_the_lines_behind_sentinel_are_enough(sentinel_set):
    grant(sentinel_set.nodes, "one")
    grant(sentinel_set.sentinels, "sentinel")
    await uses(url_for(sentinel_set.url))
