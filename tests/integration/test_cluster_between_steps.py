"""A node of a cluster goes away between two steps for many items: only items that need it are not stored."""

import pytest

from langcache_cli.caching import Cache
from langcache_cli.caching._loading import leases as leases_module
from tests.harness.polling import aeventually
from tests.integration.cache_support import make_stale
from tests.integration.cluster_support import ITEMS, Words, away_after_look_up, counted


@pytest.fixture
def cluster(bare_cluster):
    return bare_cluster


@pytest.fixture
def cache(open_cache, cluster) -> Cache:
    return open_cache(cluster.url, operation_timeout=1.0)


@pytest.fixture
def node(cluster):
    """The one that will go away."""
    return cluster.primaries[0]


async def is_loaded_for_the_others_once(words: Words, cluster, node) -> None:
    """All were loaded in one call, and those that the node does not concern were stored."""
    assert words.calls == [ITEMS]
    assert await words.many(ITEMS) == [100 + item for item in ITEMS]
    assert words.calls[1:] == [words.concerned_by(cluster, node)]


@pytest.fixture
async def words(cache, cluster) -> Words:
    """A tagged function, all of whose scripts the nodes know."""
    words = Words(cache, tags=("word:{item}",), stale_ttl=60)
    await words.many(ITEMS)
    return words


async def test_the_versions_of_tags_that_are_read_before_an_outdated_entry_is_replaced(
    cache, cluster, node, words
):
    concerned = words.concerned_by(cluster, node)
    await cache.invalidate_tags(*[f"word:{item}" for item in ITEMS])
    words.calls.clear()
    away_after_look_up(cache, cluster, node)
    bypassed = counted(cache, "bypassed")
    assert await words.many(ITEMS) == [100 + item for item in ITEMS]
    assert sum(bypassed) == len(concerned)
    await is_loaded_for_the_others_once(words, cluster, node)


async def test_the_versions_of_tags_that_are_read_again_after_leases_were_taken(
    cache, cluster, node, words, monkeypatch
):
    """The entries of another process are found, and the versions of their tags look older than these are."""
    acquire_tagged = leases_module.acquire_tagged

    async def and_then_kill(store, leases, *arguments, **options):
        found_leases, found = await acquire_tagged(store, leases, *arguments, **options)
        older = [one._replace(tag_versions=("0" * 16,)) for one in found_leases]
        monkeypatch.undo()
        cluster.kill(node)
        return older, found

    async def nothing(keys, _):
        return [None] * len(keys)

    monkeypatch.setattr(leases_module, "acquire_tagged", and_then_kill)
    monkeypatch.setattr(cache.runtime().store, "values_of", nothing)
    words.calls.clear()
    bypassed = counted(cache, "bypassed")
    assert await words.many(ITEMS) == [100 + item for item in ITEMS]
    concerned = words.concerned_by(cluster, node)
    tag_away = [item for item in concerned if item not in words.on(cluster, node)]
    assert tag_away
    assert set(words.calls[0]) == set(tag_away)
    assert sum(bypassed) == len(concerned)  # the entries of the others are served as they are


async def test_the_tags_of_stale_entries_that_are_to_be_replaced(cache, cluster, node, words):
    concerned = words.concerned_by(cluster, node)
    for item in ITEMS:
        make_stale(cluster, words.one.key_for(item))
    words.calls.clear()
    away_after_look_up(cache, cluster, node)
    assert await words.many(ITEMS) == [100 + item for item in ITEMS]
    await aeventually(lambda: words.calls, within=60)
    assert words.calls == [[item for item in ITEMS if item not in concerned]]
