"""What the tests share in which nodes of a cluster go away or come back."""

import asyncio
from collections.abc import Iterator
from itertools import count

from langcache_cli.caching import Cache
from langcache_cli.caching._deployment.cluster.slots import slot_of
from tests.harness.polling import eventually
from tests.harness.redis_cluster import RedisCluster
from tests.harness.redis_server import RedisServer
from tests.integration.cache_support import Database

REPLACED_SECONDS = 20.0


def items_on(cluster: RedisCluster, database: Database, node: RedisServer) -> Iterator[int]:
    """Items whose keys are on a node."""
    slots = {slot for slot, owner in enumerate(cluster._owners(cluster.running[0])) if owner is node}
    return (item for item in count() if slot_of(database.read.key_for(item)) in slots)


def one_on_each(cluster: RedisCluster, database: Database) -> list[int]:
    """An item on each primary, in the order of `RedisCluster.primaries`."""
    return [next(items_on(cluster, database, node)) for node in cluster.primaries]


async def replaced(cluster: RedisCluster, node: RedisServer, slot: int) -> None:
    """Wait until another node owns a slot of a node that was stopped or killed."""

    def has_another_owner() -> bool:
        owner = cluster.owner(slot)
        return owner is not node and owner in cluster.primaries

    await asyncio.to_thread(eventually, has_another_owner, within=REPLACED_SECONDS)


def pending(cache: Cache) -> set[object]:
    """What the outbox holds."""
    return set(cache.runtime().outbox.waiting())


def counted(cache: Cache, name: str) -> list[int]:
    """Gets the amounts of a counter from now on."""
    amounts: list[int] = []
    cache.events.subscribe(lambda event: amounts.append(event.amount) if event.name == name else None)
    return amounts
