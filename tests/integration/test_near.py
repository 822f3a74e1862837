"""Entries in the memory of the process: quick, and never older than what Redis has said."""

import asyncio
import time
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, Field

from langcache_cli.caching._near.generation import MAX_LAG_SECONDS
from tests.harness.polling import aeventually
from tests.harness.shared_redis import Shared, calls_of
from tests.integration.cache_support import Database
from tests.integration.near_support import SEEN_WITHIN_SECONDS, near_of, sees, warmed


@pytest.fixture
def database(cache) -> Database:
    return Database(cache, tags=("word:{item}", "all"), local_ttl=60)


def near_hits(database: Database) -> int:
    return database.cache.statistics_of(database.read).counts.get("near", 0)


async def test_a_hit_asks_nobody(database, redis_server):
    await warmed(database, 1)
    before, hits = calls_of(redis_server, "mget", "get"), near_hits(database)
    assert [await database.read(1) for _ in range(50)] == [[1, 0]] * 50
    assert near_hits(database) - hits == 50
    assert calls_of(redis_server, "mget", "get") == before


async def test_near_hits_are_hits_and_their_latencies_are_counted(database):
    await warmed(database, 1)
    before = database.cache.statistics_of(database.read).counts
    await database.read(1)
    after = database.cache.statistics_of(database.read).counts
    assert after["hits"] - before["hits"] == 1
    timed = [sum(n for name, n in counts.items() if name.startswith("hit_us.")) for counts in (before, after)]
    assert timed[1] - timed[0] == 1


async def test_hooks_hear_of_near_hits(database):
    await warmed(database, 1)
    names = []
    database.cache.events.subscribe(lambda event: names.append((event.name, event.key)))
    await database.read(1)
    key = database.read.key_for(1)
    assert names == [("near", key), ("hits", key)]


async def test_what_a_caller_does_to_a_value_shows_in_no_other(database):
    await warmed(database, 1)
    value = await database.read(1)
    value.append("changed")
    assert await database.read(1) == [1, 0]


class Profile(BaseModel):
    name: str = ""
    nickname: str | None = None
    id: UUID = Field(default_factory=uuid4)  # never set, and yet part of what is stored
    inner: "Profile | None" = None


async def test_a_value_from_memory_knows_which_of_its_fields_were_set(cache):
    @cache.cached(key_prefix="profiles", local_ttl=60)
    async def profile() -> Profile:
        return Profile(name="x", inner=Profile(nickname=None))

    async def is_near() -> bool:
        answers.append(await profile())
        return cache.statistics_of(profile).counts.get("near", 0) > 1

    answers: list[Profile] = []
    await aeventually(is_near)
    assert answers == [answers[0]] * len(answers)
    for answer in answers:
        assert answer.model_fields_set == {"name", "inner"}
        assert answer.model_dump(exclude_unset=True) == {"name": "x", "inner": {"nickname": None}}


@pytest.mark.parametrize("way", ["key", "tag", "pattern", "type"])
async def test_this_process_sees_its_own_invalidation_at_once(database, way):
    for version in range(1, 20):
        await warmed(database, 1, 2)
        database.versions[1] = version
        match way:
            case "key":
                await database.read.invalidate(1)
            case "tag":
                await database.cache.invalidate_tags("word:1")
            case "pattern":
                await database.cache.invalidate("cache:*read:1")
            case "type":
                await database.cache.invalidate_type("vocabulary")
        assert await database.read(1) == [1, version]


async def test_this_process_sees_its_own_refresh_at_once(database):
    for version in range(1, 20):
        await warmed(database, 1)
        database.versions[1] = version
        assert await database.read.refresh(1) == [1, version]
        assert await database.read(1) == [1, version]


CHANGES: dict[str, Callable[[Database], tuple[str, ...]]] = {
    "DEL of the key": lambda database: ("DEL", database.read.key_for(1)),
    "DEL of a tag": lambda _: ("DEL", "cache@tag:all"),
    "UNLINK of another tag": lambda _: ("UNLINK", "cache@tag:word:1"),
    "FLUSHALL": lambda _: ("FLUSHALL",),
    "FLUSHDB": lambda _: ("FLUSHDB",),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_by_another_process_is_seen(open_cache, own_redis, change):
    server = own_redis()
    database = Database(open_cache(server.url), tags=("word:{item}", "all"), local_ttl=60)
    for version in range(1, 10):
        await warmed(database, 1)
        database.versions[1] = version
        server.command(*CHANGES[change](database))
        await aeventually(lambda v=version: sees(database, v), every=0.0, within=SEEN_WITHIN_SECONDS)


async def test_a_task_that_never_waits_sees_it_too(database, redis_server):
    await warmed(database, 1)
    database.versions[1] = 1
    redis_server.command("DEL", database.read.key_for(1))
    ends = time.monotonic() + SEEN_WITHIN_SECONDS
    while await database.read(1) != [1, 1]:  # nothing here gives up the loop but the cache itself
        assert time.monotonic() < ends


async def test_another_cache_of_the_fleet_sees_it(database, open_cache):
    other = Database(open_cache(), tags=("word:{item}", "all"), local_ttl=60)
    await warmed(database, 1)
    await warmed(other, 1)
    other.versions[1] = database.versions[1] = 1
    await database.cache.invalidate_tags("all")
    await aeventually(lambda: sees(other, 1), every=0.0, within=SEEN_WITHIN_SECONDS)


def latest_end(redis_server: Shared, key: str) -> float:
    """When Redis will have forgotten a key, on the clock of `time.monotonic`; Redis counts milliseconds."""
    return redis_server.command("PTTL", key) / 1000 + time.monotonic() + 0.005


async def loads_again(database: Database, reads: int) -> bool:
    await database.read(1)
    return database.reads[1] > reads


async def test_an_entry_ends_with_its_ttl_in_redis(cache, redis_server):
    database = Database(cache, ttl=2, local_ttl=60)
    await warmed(database, 1)
    (entry,) = near_of(cache)._entries.values()
    assert entry.expires_at <= latest_end(redis_server, database.read.key_for(1))
    reads = database.reads[1]
    await aeventually(lambda: loads_again(database, reads), within=10)


async def test_an_entry_ends_with_its_local_ttl(cache):
    database = Database(cache, ttl=60, local_ttl=0.05)
    await database.read(1)
    started = time.monotonic()
    await warmed(database, 1)
    (entry,) = near_of(cache)._entries.values()
    assert started < entry.expires_at <= time.monotonic() + 0.05


async def test_what_is_stale_or_about_to_be_renewed_is_not_served_from_here(cache, redis_server):
    database = Database(cache, ttl=1, stale_ttl=60, local_ttl=60)
    await warmed(database, 1)
    (entry,) = near_of(cache)._entries.values()
    assert entry.expires_at <= latest_end(redis_server, database.read.key_for(1)) - 60
    database.versions[1] = 1
    await aeventually(lambda: sees(database, 1), within=10)


async def test_early_refresh_goes_together_with_it(cache):
    database = Database(cache, ttl=60, early_refresh=1.0, local_ttl=60)
    await warmed(database, 1)
    before = near_hits(database)
    await database.read(1)
    assert near_hits(database) > before


async def test_memory_is_bounded(open_cache):
    cache = open_cache(near_cache_bytes=20_000)
    database = Database(cache, local_ttl=60)
    await warmed(database, *range(100))
    assert 0 < near_of(cache).n_bytes <= 20_000


async def test_without_memory_for_it_there_is_no_near_cache(open_cache, redis_server):
    database = Database(open_cache(near_cache_bytes=0), local_ttl=60)
    await database.read(1)
    before = calls_of(redis_server, "mget", "get")
    assert [await database.read(1) for _ in range(2)] == [[1, 0]] * 2
    assert calls_of(redis_server, "mget", "get") - before == 2
    assert database.cache.runtime().near() is None


async def test_functions_without_a_local_ttl_are_not_kept(cache, redis_server):
    near, plain = Database(cache, local_ttl=60), Database(cache, prefix="episodes")
    await warmed(near, 1)
    await plain.read(1)
    before = calls_of(redis_server, "mget", "get")
    assert [await plain.read(1) for _ in range(2)] == [[1, 0]] * 2
    assert calls_of(redis_server, "mget", "get") - before == 2


async def test_an_idle_process_sends_no_sign_of_life(one_cache, one_redis):
    database = Database(one_cache, tags=("word:{item}", "all"), local_ttl=60)
    await warmed(database, 1)
    await database.read(1)
    near = database.cache.runtime().near()
    await aeventually(lambda: near._timer is None)
    before = calls_of(one_redis, "ping")
    await asyncio.sleep(3 * MAX_LAG_SECONDS)  # the point is that nothing is sent meanwhile
    assert calls_of(one_redis, "ping") == before
    assert await database.read(1) == [1, 0]


async def test_tags_that_are_read_again_and_again_are_not_renewed_each_time(database, redis_server):
    """A miss prolongs its tags, which everybody who keeps an entry with them would hear as a change."""
    await warmed(database, 1)
    before = near_of(database.cache).get(database.read.key_for(1), time.monotonic())
    for item in range(2, 20):
        await database.read(item)
    assert near_of(database.cache).get(database.read.key_for(1), time.monotonic()) is before
