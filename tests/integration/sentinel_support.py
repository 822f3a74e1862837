"""What the tests of a cache behind a real Sentinel set share."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.harness.redis_server import RedisServer
from tests.harness.sentinels import SentinelSet
from tests.integration.cache_support import Database

IN_TIME = {"operation_timeout": 0.25}


async def is_stored(database: Database, item: int) -> bool:
    """Whether two calls run the function once at most."""
    before = database.reads[item]
    await database.read(item)
    await database.read(item)
    return database.reads[item] <= before + 1


@contextmanager
def stopped(sentinels: SentinelSet, *servers: RedisServer) -> Iterator[None]:
    for server in servers:
        sentinels.stop(server)
    try:
        yield
    finally:
        for server in servers:
            sentinels.cont(server)


def subscribers(sentinel: RedisServer) -> int:
    return sum(client["sub"] == "1" for client in clients_by_facts(sentinel))


def clients_by_facts(server: RedisServer) -> list[dict[str, str]]:
    lines = server.command("CLIENT", "LIST").decode().splitlines()
    return [dict(word.partition("=")[::2] for word in line.split()) for line in lines]
