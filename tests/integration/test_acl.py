"""What the cache itself says of a right that it lacks: in errors and in `stats()`."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest

from langcache_cli.caching import Cache, CacheError
from langcache_cli.caching._config.rights import COMMANDS
from tests.harness.acl import OF_THE_OVERVIEW, USER, grant, kind_of, url_for
from tests.harness.redis_server import RedisServer
from tests.integration.cache_support import Database

REPLACING = {"+set", "+getrange", "+evalsha", "+eval", "+setrange", "+pttl", "+time"}
NOT_CHECKED = {
    "one": {"+hello", "+client|tracking", "+ping", "+select", "+role", *OF_THE_OVERVIEW},
    "cluster": {"+hello", "+client|tracking", "+ping", *OF_THE_OVERVIEW},
}


class Servers(NamedTuple):
    """What has the keys."""

    url: str
    nodes: Sequence[RedisServer]


@pytest.fixture
def servers(request, kind) -> Servers:
    """One server, or the nodes of a cluster."""
    if kind == "one":
        one = request.getfixturevalue("one_redis")
        return Servers(one.url, [one])
    cluster = request.getfixturevalue("bare_cluster")
    return Servers(cluster.url, cluster.nodes)


async def said_by(cache: Cache, database: Database) -> dict[str, str]:
    """What each operation raises; nothing of those that succeed."""
    said = {}
    operations: dict[str, Callable] = {
        "refresh": lambda: database.read.refresh(1),
        "tag": lambda: cache.invalidate_tags("word:1"),
        "pattern": lambda: cache.invalidate("cache:*"),
        "holds": lambda: cache.holds("cache:x"),
        "report": cache.report,
    }
    for name, operation in operations.items():
        try:
            await operation()
        except CacheError as error:
            said[name] = str(error)
    return said


@pytest.mark.parametrize(
    ("kind", "right"), [(kind, right) for kind in ("one", "cluster") for right in COMMANDS[kind]]
)
async def test_every_error_about_a_right_names_it_and_the_line_that_grants_it(
    kind, right, servers, open_cache
):
    assert kind_of(servers.url) == kind
    grant(servers.nodes, kind)
    with_all = Database(open_cache(url_for(servers.url)), tags=("word:{item}",))
    await with_all.read(1)
    assert await said_by(with_all.cache, with_all) == {}
    await with_all.read(1)
    grant(servers.nodes, kind, without=[right])
    for node in servers.nodes:
        node.command("SCRIPT", "FLUSH")

    cache = open_cache(url_for(servers.url))
    database = Database(cache, tags=("word:{item}",))
    assert await database.read(1) == [1, 0]  # whatever Redis refuses
    said = await said_by(cache, database)
    for text in said.values():
        line = text.partition(f"; grant it: ACL SETUSER {USER} ")[2]
        assert right in line.removesuffix(")").split(), said
    assert bool(said.get("refresh")) >= (right in REPLACING)
    error = (await cache.stats())["error"]
    assert (right in error.split()) is (right not in NOT_CHECKED[kind]), error
