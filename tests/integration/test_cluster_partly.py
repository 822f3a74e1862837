"""Many keys of a cluster of which one node is away: the others are answered, loaded and stored as ever."""

import asyncio
from collections.abc import Sequence

import pytest

from langcache_cli.caching import MISSING, Cache, CacheUnavailableError, cached_many
from langcache_cli.caching._front.warm import WarmCounts, warm
from tests.harness.polling import aeventually
from tests.integration.cluster_support import ITEMS, Words, away_after_look_up, counted

QUICK = {"operation_timeout": 0.5}


@pytest.fixture
def cache(open_cache, bare_cluster) -> Cache:
    return open_cache(bare_cluster.url, **QUICK)


def go_away(cluster, node, how) -> None:
    cluster.stop(node) if how == "stopped" else cluster.kill(node)


async def is_known_to_be_away(cache: Cache, words: Words, item: int) -> None:
    """Wait until calls of its keys fail at once."""

    async def is_down() -> bool:
        await words.one(item)
        return not cache.runtime().server.usable(words.one.key_for(item))

    await aeventually(is_down, within=60)


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_items_of_a_node_that_is_away_are_loaded_unstored_and_the_others_are_hits(
    cache, bare_cluster, how
):
    words = Words(cache)
    await words.many(ITEMS)
    node = bare_cluster.primaries[0]
    away = words.on(bare_cluster, node)
    go_away(bare_cluster, node, how)
    bypassed = counted(cache, "bypassed")
    for calls in range(1, 4):
        assert await words.many(ITEMS) == [100 + item for item in ITEMS]
        assert words.calls == [ITEMS] + calls * [away]
        assert sum(bypassed) == calls * len(away)


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_they_are_loaded_in_one_call_with_those_that_are_missing(cache, bare_cluster, how):
    words = Words(cache)
    node = bare_cluster.primaries[0]
    away = words.on(bare_cluster, node)
    others = [item for item in ITEMS if item not in away]
    await words.many(others[:3])
    go_away(bare_cluster, node, how)
    await is_known_to_be_away(cache, words, away[0])
    words.calls.clear()
    misses = counted(cache, "misses")
    assert await words.many(ITEMS) == [100 + item for item in ITEMS]
    assert words.calls == [sorted([*others[3:], *away])]
    assert sum(misses) == len(others[3:])
    assert await words.many(ITEMS) == [100 + item for item in ITEMS]
    assert words.calls[1:] == [away]
    for item in others:
        assert bare_cluster.command("EXISTS", words.one.key_for(item)) == 1


async def test_a_node_that_goes_away_between_look_up_and_lease_leaves_the_others(cache, bare_cluster):
    """The look-up has answers of all nodes; the leases of one node cannot be taken."""
    words = Words(cache)
    node = bare_cluster.primaries[0]
    away = words.on(bare_cluster, node)
    await cache.ping()
    away_after_look_up(cache, bare_cluster, node)
    unstored = counted(cache, "bypassed")
    assert await words.many(ITEMS) == [100 + item for item in ITEMS]
    assert words.calls == [ITEMS]
    assert sum(unstored) == len(away)
    assert await words.many(ITEMS) == [100 + item for item in ITEMS]
    assert words.calls[1:] == [away]


async def test_items_with_a_tag_on_a_node_that_is_away_are_loaded_unstored(cache, bare_cluster):
    words = Words(cache, tags=("word:{item}",))
    await words.many(ITEMS)
    node = bare_cluster.primaries[0]
    names = {item: words.one.spec.key_and_tags("cache", item) for item in ITEMS}
    away = [item for item in ITEMS if any(bare_cluster.node_of(name) is node for name in names[item])]
    assert set(away) > set(words.on(bare_cluster, node))
    bare_cluster.stop(node)
    for _ in range(2):
        assert await words.many(ITEMS) == [100 + item for item in ITEMS]
    assert words.calls == [ITEMS, away, away]


async def test_of_items_that_are_absent_those_with_a_tag_that_is_away_are_not_stored(cache, bare_cluster):
    words = Words(cache, tags=("word:{item}",))
    node = bare_cluster.primaries[0]
    names = {item: words.one.spec.key_and_tags("cache", item) for item in ITEMS}
    away = [item for item in ITEMS if any(bare_cluster.node_of(name) is node for name in names[item])]
    await words.one(away[0])
    away_after_look_up(cache, bare_cluster, node)
    assert await words.many(ITEMS[::-1]) == [100 + item if item != away[0] else item for item in ITEMS[::-1]]
    assert await words.many(ITEMS) == [100 + item for item in ITEMS]
    assert words.calls == [[item for item in ITEMS if item != away[0]], away]


async def test_items_that_an_unconfirmed_invalidation_concerns_are_loaded_unstored(cache, bare_cluster):
    words = Words(cache)
    await words.many(ITEMS)
    cache.runtime().outbox.defer([words.one.key_for(3)])
    assert await words.many(ITEMS) == [100 + item for item in ITEMS]
    assert words.calls == [ITEMS, [3]]
    await aeventually(lambda: not cache.pending_invalidations)
    await words.many(ITEMS)
    await words.many(ITEMS)
    assert words.calls == [ITEMS, [3], [3]]


async def test_what_the_function_raises_reaches_the_caller(cache, bare_cluster):
    words = Words(cache)
    node = bare_cluster.primaries[0]

    @cached_many(words.one, each="items")
    async def fails(items: Sequence[int]) -> list[int]:
        raise LookupError(len(items))

    away = words.on(bare_cluster, node)
    bare_cluster.stop(node)
    await is_known_to_be_away(cache, words, away[0])
    with pytest.raises(LookupError, match=str(len(ITEMS))):
        await fails(ITEMS)
    assert await words.many(ITEMS) == [100 + item for item in ITEMS]


# -- plain values --


async def test_plain_values_of_the_other_nodes_are_found(cache, bare_cluster):
    plain = [f"user_stats:{item}" for item in ITEMS]
    assert await cache.set_many({key: key for key in plain})
    node = bare_cluster.primaries[0]
    away = {key for key in plain if bare_cluster.node_of(f"cache:{key}") is node}
    bare_cluster.stop(node)
    for _ in range(2):
        found = await cache.get_many(plain)
        assert found == {key: MISSING if key in away else key for key in plain}
    assert not await cache.set_many({key: f"{key}!" for key in plain})
    found = await cache.get_many(plain)
    assert found == {key: MISSING if key in away else f"{key}!" for key in plain}


# -- warm --


@pytest.mark.parametrize("missing_only", [True, False])
async def test_a_warm_leaves_out_what_it_has_no_lease_for(cache, bare_cluster, missing_only):
    words, loaded = Words(cache), list[int]()
    node = bare_cluster.primaries[0]
    away = words.on(bare_cluster, node)
    others = [item for item in ITEMS if item not in away]

    async def load(calls):
        loaded.extend(call["item"] for call in calls)
        return [call["item"] for call in calls]

    await warm(cache, words.one, [{"item": item} for item in ITEMS[:1]], load)
    loaded.clear()
    bare_cluster.kill(node)
    counts = await warm(cache, words.one, [{"item": item} for item in ITEMS], load, missing_only=missing_only)
    skipped = ITEMS[0] in others and missing_only
    expected = others[1:] if skipped else others
    assert loaded == expected
    assert counts == WarmCounts(
        read=len(expected), written=len(expected), skipped=int(skipped), failed=len(away)
    )
    assert await asyncio.gather(*map(words.one, others)) == others
    with pytest.raises(CacheUnavailableError):
        await warm(cache, words.one, [{"item": item} for item in away], load, missing_only=missing_only)
    assert loaded == expected


@pytest.mark.parametrize("missing_only", [True, False])
async def test_a_warm_leaves_out_what_has_a_tag_that_is_away(cache, bare_cluster, missing_only):
    words = Words(cache, tags=("word:{item}",))
    node = bare_cluster.primaries[0]
    names = {item: words.one.spec.key_and_tags("cache", item) for item in ITEMS}
    away = [item for item in ITEMS if any(bare_cluster.node_of(name) is node for name in names[item])]

    async def load(calls):
        return [call["item"] for call in calls]

    await warm(cache, words.one, [{"item": 1000}], load)
    bare_cluster.kill(node)
    calls = [{"item": item} for item in ITEMS]
    counts = await warm(cache, words.one, calls, load, missing_only=missing_only)
    n_stored = len(ITEMS) - len(away)
    assert counts == WarmCounts(read=n_stored, written=n_stored, failed=len(away))
    with pytest.raises(CacheUnavailableError):
        await warm(cache, words.one, [{"item": item} for item in away], load, missing_only=missing_only)
