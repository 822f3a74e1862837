"""A load on a cluster that blocks its event loop for longer than the lease keeps its leases on each node."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial

import pytest

from langcache_cli.caching import cached_many
from langcache_cli.caching._protocol.lease import new_leases
from tests.integration.cluster_support import ITEMS, Words

LEASE_SECONDS = 3.0
BLOCKED_SECONDS = 7.0


def blocking(words: Words, block):
    """A function for many items that calls ``block`` in its event loop."""

    @cached_many(words.one, each="items")
    async def many(items: Sequence[int]) -> list[int]:
        block()
        return [100 + item for item in items]

    return many


@pytest.mark.parametrize("tags", [(), ("word:{item}",)], ids=["plain", "tagged"])
async def test_all_that_was_loaded_is_stored(open_cache, bare_cluster, tags):
    words = Words(open_cache(bare_cluster.url, lease_seconds=LEASE_SECONDS), tags=tags)
    many = blocking(words, lambda: time.sleep(BLOCKED_SECONDS))
    assert all(words.on(bare_cluster, node) for node in bare_cluster.primaries)
    assert await many(ITEMS) == [100 + item for item in ITEMS]
    assert await words.many(ITEMS) == [100 + item for item in ITEMS]
    assert words.calls == []


@pytest.mark.parametrize("place", [0, 2])
async def test_a_node_that_hangs_leaves_the_leases_on_the_others(open_cache, bare_cluster, place):
    cache = open_cache(bare_cluster.url, lease_seconds=LEASE_SECONDS, operation_timeout=2.0)
    words = Words(cache)
    node = bare_cluster.primaries[place]

    def block() -> None:
        bare_cluster.stop(node)
        time.sleep(BLOCKED_SECONDS)

    await words.many(range(1000, 1000 + len(ITEMS)))
    await cache.runtime().store.renew(new_leases(words.keys()))  # each node knows the scripts by now
    words.calls.clear()
    away = words.on(bare_cluster, node)
    others = [item for item in ITEMS if item not in away]
    assert await blocking(words, block)(ITEMS) == [100 + item for item in ITEMS]
    assert [bare_cluster.command("EXISTS", words.one.key_for(item)) for item in others] == [1] * len(others)
    bare_cluster.cont(node)
    assert await words.many(others) == [100 + item for item in others]
    assert words.calls == []


async def test_a_node_that_was_away_for_a_renewal_is_asked_again_at_once(open_cache, bare_cluster):
    """Its leases were not renewed with those of the other nodes."""
    words = Words(open_cache(bare_cluster.url, lease_seconds=LEASE_SECONDS))
    node = bare_cluster.primaries[0]

    def block() -> None:
        time.sleep(LEASE_SECONDS / 3)
        bare_cluster.stop(node)
        time.sleep(LEASE_SECONDS / 3)
        bare_cluster.cont(node)
        time.sleep(BLOCKED_SECONDS)

    assert await blocking(words, block)(ITEMS) == [100 + item for item in ITEMS]
    assert await words.many(ITEMS) == [100 + item for item in ITEMS]
    assert words.calls == []


async def test_a_load_on_another_node_than_one_that_hangs_keeps_its_lease(open_cache, bare_cluster):
    """The leases on the node that hangs are due again and again, and asking it takes time each time."""
    cache = open_cache(bare_cluster.url, lease_seconds=LEASE_SECONDS, operation_timeout=2.0)
    words, node = Words(cache), bare_cluster.primaries[0]
    block = partial(time.sleep, BLOCKED_SECONDS)
    calls, loading, done = list[int](), asyncio.Event(), asyncio.Event()

    @cache.cached(key_prefix="vocabulary")
    async def load(item: int) -> int:
        calls.append(item)
        if item == away:
            loading.set()
            await done.wait()
        elif calls.count(item) == 1:
            await loading.wait()
            bare_cluster.stop(node)
            block()
        return item

    hanging = [item for item in ITEMS if bare_cluster.node_of(load.key_for(item)) is node]
    away, other = hanging[0], next(item for item in ITEMS if item not in hanging)
    await words.many(range(1000, 1000 + len(ITEMS)))
    await cache.runtime().store.renew(new_leases(words.keys()))  # each node knows the scripts by now
    waiting = asyncio.create_task(load(away))
    assert await load(other) == other
    assert await load(other) == other
    assert calls.count(other) == 1
    bare_cluster.cont(node)
    done.set()
    assert await waiting == away
