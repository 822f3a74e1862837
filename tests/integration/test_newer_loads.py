"""An invalidation between two steps of a load takes nothing from a load that began after it."""

import asyncio

from langcache_cli.caching._loading.leases import Leases
from langcache_cli.caching.tooling import warm
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, Gate, make_stale, waiting


async def test_a_warm_that_read_its_tags_before_leaves_a_newer_load_alone(cache, open_cache, monkeypatch):
    prepared, theirs = Gate(), Database(open_cache(), held=True, tags=("word:{item}",))
    prepare = Leases.prepare

    async def prepare_early(self, keys):
        leases = await prepare(self, keys)
        await prepared()
        return leases

    monkeypatch.setattr(Leases, "prepare", prepare_early)
    ours = Database(cache, tags=("word:{item}",))

    async def load(calls):
        return [[call["item"], 0] for call in calls]

    warming = asyncio.create_task(warm(cache, ours.read, [{"item": 1}], load, missing_only=True))
    await prepared.reached()
    await cache.invalidate_tags("word:1")
    theirs.versions[1] = 1
    newer = asyncio.create_task(theirs.read(1))
    await theirs.gate.reached()
    prepared.open()
    assert (await warming).skipped == 1
    theirs.gate.open()
    assert await newer == [1, 1]
    assert theirs.cache.statistics_of(theirs.read).counts.get("refused", 0) == 0


async def test_an_entry_invalidated_since_it_was_seen_is_not_refreshed(
    cache, open_cache, redis_server, monkeypatch
):
    options = {"ttl": 60, "stale_ttl": 60, "tags": ("word:{item}",)}
    ours, theirs = Database(cache, **options), Database(open_cache(), **options)
    await ours.read(1)
    make_stale(redis_server, ours.read.key_for(1))
    store, electing = cache.runtime().store, Gate()
    tag_versions = store.tag_versions

    async def late(*arguments):
        await electing()
        return await tag_versions(*arguments)

    monkeypatch.setattr(store, "tag_versions", late)
    assert await ours.read(1) == [1, 0]  # the old value; the load of the next one begins in the background
    await electing.reached()
    theirs.versions[1] = ours.versions[1] = 1
    await theirs.cache.invalidate_tags("word:1")
    electing.open()
    await aeventually(lambda: not cache.runtime().background.tasks())
    assert ours.reads[1] == 1
    assert await theirs.read(1) == [1, 1]


async def test_a_load_that_is_run_once_more_is_waited_for_although_its_tag_was_invalidated(cache, open_cache):
    ours = Database(cache, held=True, tags=("word:{item}",))
    theirs = Database(open_cache(), tags=("word:{item}",))
    first, second = (asyncio.create_task(ours.read(1)) for _ in range(2))
    await aeventually(lambda: waiting(cache) == 2, every=0.001)
    await ours.gate.reached()
    ours.versions[1] = theirs.versions[1] = 1
    await theirs.cache.invalidate_tags("word:1")
    first.cancel()
    await ours.gate.reached(2)  # for the second, after the invalidation
    call = asyncio.create_task(theirs.read(1))
    await aeventually(lambda: call.done() or waiting(theirs.cache) == 1, every=0.001)
    ours.gate.open()
    assert await second == await call == [1, 1]
    assert theirs.reads == {}
