"""What the tests share in which nodes of a cluster go away or come back."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from langcache_cli.caching import Cache, cached_many
from langcache_cli.caching._deployment.cluster.slots import slot_of
from langcache_cli.caching._wire.budget import Budget
from tests.harness.formed_servers import REPLACED_SECONDS
from tests.harness.polling import eventually
from tests.harness.redis_cluster import RedisCluster
from tests.harness.redis_server import RedisServer
from tests.integration.cache_support import Database

ITEMS = list(range(24))
"""Enough for some on each node."""


class Words:
    """A function for one item and one for many, of which the calls are kept."""

    def __init__(self, cache: Cache, **options: Any) -> None:
        self.calls: list[list[int]] = []

        @cache.cached(key_prefix="vocabulary", **options)
        async def one(item: int) -> int:
            return item

        @cached_many(one, each="items")
        async def many(items: Sequence[int]) -> list[int]:
            self.calls.append(sorted(items))
            return [100 + item for item in items]

        self.cache, self.one, self.many = cache, one, many

    def keys(self) -> list[str]:
        return [self.one.key_for(item) for item in ITEMS]

    def on(self, cluster: RedisCluster, node: RedisServer) -> list[int]:
        return [item for item in ITEMS if cluster.node_of(self.one.key_for(item)) is node]

    def concerned_by(self, cluster: RedisCluster, node: RedisServer) -> list[int]:
        """Those with a key or a tag on a node."""
        names = {item: self.one.spec.key_and_tags("cache", item) for item in ITEMS}
        return [item for item in ITEMS if any(cluster.node_of(name) is node for name in names[item])]


def items_on(cluster: RedisCluster, database: Database, node: RedisServer) -> Iterator[int]:
    """Items whose keys are on a node."""
    slots = {slot for slot, owner in enumerate(cluster._owners(cluster.running[0])) if owner is node}
    return (item for item in count() if slot_of(database.read.key_for(item)) in slots)


def one_on_each(cluster: RedisCluster, database: Database) -> list[int]:
    """An item on each primary, in the order of `RedisCluster.primaries`."""
    return [next(items_on(cluster, database, node)) for node in cluster.primaries]


async def replaced(cluster: RedisCluster, node: RedisServer, slot: int) -> None:
    """Wait until another node owns a slot of a node that was stopped or killed."""
    await asyncio.to_thread(
        eventually, lambda: cluster.has_another_owner(slot, node), within=REPLACED_SECONDS
    )


def pending(cache: Cache) -> set[object]:
    """What the outbox holds."""
    return set(cache.runtime().outbox.waiting())


def counted(cache: Cache, name: str) -> list[int]:
    """Gets the amounts of a counter from now on."""
    amounts: list[int] = []
    cache.events.subscribe(lambda event: amounts.append(event.amount) if event.name == name else None)
    return amounts


def away_after_look_up(cache: Cache, cluster: RedisCluster, node: RedisServer) -> None:
    """The next look-up of many items has all answers; then a node is killed."""
    store = cache.runtime().store
    values_of = store.values_of

    async def and_then_kill(keys: Sequence[str], budget: Budget) -> Any:
        store.values_of = values_of  # type: ignore[method-assign]
        found = await values_of(keys, budget)
        cluster.kill(node)
        return found

    store.values_of = and_then_kill  # type: ignore[method-assign]
