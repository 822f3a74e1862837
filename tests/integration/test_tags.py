"""Entries that share a tag are invalidated together, whatever becomes of the tag's key."""

import asyncio

import pytest

from langcache_cli.caching import Cache
from langcache_cli.caching._clock import new_id
from langcache_cli.caching._keys.tags import tag_key
from langcache_cli.caching._protocol.entry import Entry, Placeholder, parse
from langcache_cli.caching._protocol.lease import Lease
from tests.integration.cache_support import Gate


class Store:
    """Words by user: two functions under the same tag, with lifetimes of their own."""

    def __init__(self, cache: Cache, *, long_ttl: float = 3600, short_ttl: float = 1.0) -> None:
        self.versions: dict[int, int] = {}
        self.loads = 0
        self.gate = Gate(is_open=True)

        @cache.cached(key_prefix="vocabulary_stats", ttl=long_ttl, tags=("user:{user}", "everyone"))
        async def stats(user: int) -> list[int]:
            return await self._load(user)

        @cache.cached(key_prefix="vocabulary_progress", ttl=short_ttl, tags=("user:{user}", "lang:{lang}"))
        async def progress(user: int, lang: str = "de") -> list[int]:
            return await self._load(user)

        self.stats, self.progress = stats, progress

    async def _load(self, user: int) -> list[int]:
        self.loads += 1
        value = [user, self.versions.get(user, 0)]
        await self.gate()
        return value

    def change(self, user: int) -> None:
        self.versions[user] = self.versions.get(user, 0) + 1


@pytest.fixture
def store(cache) -> Store:
    return Store(cache)


async def test_a_tagged_value_is_a_hit_until_its_tag_is_invalidated(cache, store):
    assert [await store.stats(4) for _ in range(3)] == [[4, 0]] * 3
    assert store.loads == 1
    store.change(4)
    assert await cache.invalidate_tags("user:4") == 1
    assert [await store.stats(4) for _ in range(3)] == [[4, 1]] * 3
    assert store.loads == 2


async def test_a_tag_reaches_every_function_and_nobody_else(cache, store):
    for user in (4, 42):
        await store.stats(user)
        await store.progress(user)
        store.change(user)
    assert await cache.invalidate_tags("user:4") == 1
    assert [await store.stats(4), await store.progress(4)] == [[4, 1], [4, 1]]
    assert [await store.stats(42), await store.progress(42)] == [[42, 0], [42, 0]]
    assert await cache.invalidate_tags("everyone", "lang:de", "user:7") == 2
    assert [await store.stats(42), await store.progress(42)] == [[42, 1], [42, 1]]


async def test_other_processes_see_it_at_once(cache, open_cache, store):
    other = Store(open_cache())
    assert await other.stats(4) == await store.stats(4) == [4, 0]
    other.change(4)
    await cache.invalidate_tags("user:4")
    assert await other.stats(4) == [4, 1]


async def test_a_load_under_way_when_its_tag_is_invalidated_is_neither_stored_nor_joined(cache, store):
    store.gate.shut()
    before = asyncio.create_task(store.stats(4))
    await store.gate.reached(1)
    store.change(4)
    await cache.invalidate_tags("user:4")
    after = asyncio.create_task(store.stats(4))
    await store.gate.reached(2)
    store.gate.open()
    assert await after == [4, 1]
    assert await before == [4, 1]
    assert await store.stats(4) == [4, 1]
    assert store.loads == 2


async def test_an_entry_stored_by_a_load_that_began_before_the_invalidation_is_not_valid(cache, store):
    store.gate.shut()
    before = asyncio.create_task(store.stats(4))
    await store.gate.reached(1)
    store.change(4)
    await cache.invalidate_tags("user:4")
    store.gate.open()
    assert await before == [4, 0]
    assert await store.stats(4) == [4, 1]


async def test_what_is_stored_records_the_versions_of_the_tags(store, redis_server):
    store.gate.shut()
    call = asyncio.create_task(store.stats(4))
    await store.gate.reached(1)
    key = store.stats.key_for(4)
    versions = tuple(
        redis_server.command("GET", name).decode() for name in ("cache@tag:user:4", "cache@tag:everyone")
    )
    placeholder = parse(redis_server.command("GET", key))
    assert isinstance(placeholder, Placeholder)
    store.gate.open()
    await call
    entry = parse(redis_server.command("GET", key))
    assert isinstance(entry, Entry)
    assert placeholder.tag_versions == entry.tag_versions == versions


async def test_a_tag_lives_as_long_as_the_longest_entry_under_it(store, redis_server):
    await store.stats(4)
    longest = redis_server.command("PTTL", "cache@tag:user:4")
    assert longest > redis_server.command("PTTL", store.stats.key_for(4))
    await store.progress(4)  # of a second: does not shorten it
    assert redis_server.command("PTTL", "cache@tag:user:4") > longest - 60_000
    assert redis_server.command("PTTL", "cache@tag:lang:de") < 120_000
    redis_server.command("PEXPIRE", "cache@tag:lang:de", 100_000)
    await store.stats(5)
    assert redis_server.command("PTTL", "cache@tag:everyone") >= longest - 60_000


@pytest.mark.parametrize("how", ["deleted by hand", "another type", "nonsense", "another version"])
async def test_a_tag_whose_key_was_lost_makes_its_entries_invalid(cache, store, redis_server, how):
    await store.stats(4)
    store.change(4)
    redis_server.command("DEL", "cache@tag:user:4")
    match how:
        case "another type":
            redis_server.command("RPUSH", "cache@tag:user:4", "x")
        case "nonsense":
            redis_server.command("SET", "cache@tag:user:4", b"\xff,nonsense")
        case "another version":
            redis_server.command("SET", "cache@tag:user:4", "0123456789abcdef")
    assert await store.stats(4) == [4, 1]
    assert await store.stats(4) == [4, 1]
    assert store.loads == 2


async def test_clearing_entries_by_pattern_or_type_leaves_the_tags_alone(cache, store, redis_server):
    await store.stats(4)
    await store.progress(4)
    assert await cache.invalidate("cache:*") == 2
    assert redis_server.command("EXISTS", "cache@tag:user:4") == 1


async def test_tags_are_invalidated_by_the_text_of_the_argument_whatever_it_contains(cache):
    loads = []

    @cache.cached(key_prefix="names", tags=("name:{name}",))
    async def greet(name: str) -> str:
        loads.append(name)
        return f"hello {name}"

    for name in ["a:b", "*", "100%", "ä ö", "'x'", "", "\ud800", "x" * 300, "None"]:
        await greet(name)
        assert await cache.invalidate_tags(f"name:{name}") == 1, name
        await greet(name)
        assert loads == [name, name]
        loads.clear()


async def test_a_refresh_and_a_warm_make_tagged_entries(cache, store):
    await store.stats.refresh(4)
    assert await store.stats(4) == [4, 0]
    assert store.loads == 1
    store.change(4)
    await cache.invalidate_tags("user:4")
    assert await store.stats.refresh(4) == [4, 1]
    assert await store.stats(4) == [4, 1]
    assert store.loads == 2


def test_a_tag_key_is_short_and_beside_the_namespace():
    assert tag_key("cache", "user:42") == "cache@tag:user:42"
    assert len(tag_key("cache", "user:" + "x" * 500)) <= 200


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ("user:{user}", "write tags="),
        (("user:{nobody}",), "name 'nobody', which is not part of its key"),
        (("user:{user!r}",), "tag template"),
        (("user:{other}",), "name 'other', which is not part of its key"),
        (tuple(f"t{number}" for number in range(65)), "can have 64 tags, not 65"),
    ],
)
def test_tags_that_cannot_work_are_refused_at_import(cache, tags, message):
    with pytest.raises(TypeError, match=message):

        @cache.cached(key_prefix="names", tags=tags, ignore=("other",))
        async def load(user: int, other: int) -> int: ...


async def test_an_argument_without_plain_text_cannot_be_part_of_a_tag(cache):
    @cache.cached(key_prefix="names", tags=("items:{items}",))
    async def load(items: list[int]) -> int: ...

    with pytest.raises(TypeError, match="the argument 'items' cannot be part of a tag"):
        await load([1])


async def test_a_lease_that_was_taken_with_versions_invalidated_before_is_neither_waited_for_nor_stored(
    cache, open_cache, store
):
    """The versions are read first, so that no invalidation is missed. The price is a second run beside it."""
    elsewhere, address = open_cache(lease_seconds=60.0).runtime().store, store.stats.address(user=4)
    versions = await elsewhere.tag_versions(address.tag_keys, 10_000)
    await cache.invalidate_tags("user:4")
    late = Lease(address.key, new_id(), versions)
    assert await elsewhere.acquire([late]) == [None]
    assert [await store.stats(4) for _ in range(2)] == [[4, 0]] * 2
    assert store.loads == 1
    assert await elsewhere.commit([late], [b"x"], [10_000]) == [0]
