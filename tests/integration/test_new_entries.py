"""Entries of loaded values: the same whether one is stored or many."""

from langcache_cli.caching._loading.entry_writer import PORTION_BYTES, EntryWriter
from langcache_cli.caching._protocol.entry import Entry, parse
from tests.integration.cache_support import Database, cache_at

VALUES = [[1, 2], [], [3]]


def loaded(cache, **options) -> EntryWriter:
    spec = Database(cache, **options).read.spec
    spec.resolve()
    return EntryWriter(spec, cache.lifetime(spec), cache.runtime(), load_seconds=0.25)


async def test_many_are_written_as_one_is(redis_server):
    async with cache_at(redis_server.url) as cache:
        load = loaded(cache, ttl=60, stale_ttl=5)
        tags = [("0" * 16,), (), ("1" * 16, "2" * 16)]
        ((entries, kept_ms),) = [one async for one in load.encoded(VALUES, tags)]
        for value, versions, stored, kept in zip(VALUES, tags, entries, kept_ms, strict=True):
            found, alone = parse(stored), await load.entry(value, versions)
            assert isinstance(found, Entry)
            assert found.to_bytes() == stored
            ignored = {"id": "", "fresh_until_ms": 0}  # random: an id, and a TTL with jitter
            assert found._replace(**ignored) == alone._replace(**ignored)
            assert kept == found.fresh_until_ms - found.created_ms + 5000
            assert 57_000 <= found.fresh_until_ms - found.created_ms <= 60_000
        assert len({parse(stored).id for stored in entries}) == len(VALUES)


async def test_large_ones_are_packed_among_many_too(redis_server):
    async with cache_at(redis_server.url, compress_bytes=100) as cache:
        load = loaded(cache)
        (((small, large), _),) = [one async for one in load.encoded([[1], [7] * 5000], [(), ()])]
        assert (parse(small).compression, parse(large).compression) == ("", "zstd")


async def test_one_that_would_not_survive_leaves_the_others_alone(redis_server):
    async with cache_at(redis_server.url) as cache:
        load = loaded(cache)
        ((entries, _),) = [one async for one in load.encoded([[1], [object()], [3]], [()] * 3)]
        assert [entry is None for entry in entries] == [False, True, False]
        assert await load.entry([object()], ()) is None


async def test_large_ones_come_in_portions_each_with_its_own_times(redis_server):
    async with cache_at(redis_server.url, compress_bytes=0) as cache:
        load = loaded(cache, ttl=60)
        large = [7] * (PORTION_BYTES // 4)  # "7," each: half a portion
        values = [large, large, [1], large, [2], large, large, [3]]
        portions = [one async for one in load.encoded(values, [()] * len(values))]
        assert [len(entries) for entries, _ in portions] == [2, 4, 2]
        for entries, kept_ms in portions:
            for stored, kept in zip(entries, kept_ms, strict=True):
                assert kept == parse(stored).fresh_until_ms - parse(stored).created_ms
