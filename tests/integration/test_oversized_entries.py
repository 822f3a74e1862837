"""Entries that would take more memory than a value may: each is a miss, counted as `oversized`."""

import zlib
from collections.abc import Sequence

import pytest

from langcache_cli.caching import cached_many
from langcache_cli.caching._protocol.entry import parse

LIMIT = 1024 * 1024
LONG = b"[[" + b"1," * (LIMIT // 2) + b"1]]"
DENSE = b"[" + b"[]," * (LIMIT // 16) + b"[]]"


@pytest.mark.parametrize("how", ["one", "many"])
@pytest.mark.parametrize(
    ("payload", "compression"),
    [(zlib.compress(LONG), "zlib"), (zlib.compress(DENSE), "zlib"), (DENSE, "")],
    ids=["compressed and long", "compressed and of many objects", "of many objects"],
)
async def test_such_an_entry_is_a_miss_and_counted(open_cache, redis_server, how, payload, compression):
    cache = open_cache(max_decompressed_bytes=LIMIT)

    @cache.cached(key_prefix="subtitles")
    async def lines(number: int) -> list[list[int]]:
        return [[number]]

    @cached_many(lines, each="numbers")
    async def lines_of(numbers: Sequence[int]) -> list[list[list[int]]]:
        return [[[number]] for number in numbers]

    await lines_of([1, 2])
    stored = parse(redis_server.command("GET", lines.key_for(1)))
    damaged = stored._replace(payload=payload, compression=compression)
    redis_server.command("SET", lines.key_for(1), damaged.to_bytes())
    before = dict(cache.statistics_of(lines).counts)
    if how == "one":
        assert await lines(1) == [[1]]
        assert await lines(2) == [[2]]
    else:
        assert await lines_of([1, 2]) == [[[1]], [[2]]]
    counted = {
        name: number - before.get(name, 0) for name, number in cache.statistics_of(lines).counts.items()
    }
    assert (counted["oversized"], counted["misses"], counted["hits"], counted["loads"]) == (1, 1, 1, 1)
    assert await lines(1) == [[1]]
    assert cache.statistics_of(lines).counts["hits"] == 2  # it was replaced
