"""Large values let the event loop run while they are encoded and decoded, wherever that is done."""

import asyncio
import contextlib
import json
from typing import ClassVar

import pytest
from pydantic import BaseModel, field_validator

from langcache_cli.caching import cached_many
from langcache_cli.caching._protocol.entry import parse
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._values.large import line_writer, portions, weight
from langcache_cli.caching.tooling import warm
from tests.harness.polling import aeventually

ITEMS = 400  # of 600 bytes
FEW_TURNS = 3


class Turns:
    """Counts the turns of an event loop, and those in which the validator of `Item` has run."""

    now = 0
    seen: ClassVar[set[int]] = set()


class Item(BaseModel):
    id: int
    text: str

    @field_validator("text")
    @classmethod
    def _note_the_turn(cls, text: str) -> str:
        Turns.seen.add(Turns.now)
        return text


@pytest.fixture(autouse=True)
def _a_few_hundred_items_are_large(monkeypatch):
    monkeypatch.setattr(weight, "HEAVY", 500)
    monkeypatch.setattr(line_writer, "HEAVY", 500)
    monkeypatch.setattr(portions, "SLICE_SECONDS", 0)


@pytest.fixture
async def turns():

    async def count() -> None:
        while True:
            Turns.now += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    yield turns_of
    counting.cancel()


async def turns_of(work):
    """The result of some work, and in how many turns of the event loop values were validated."""
    Turns.seen.clear()
    return await work, len(Turns.seen)


def made() -> list[Item]:
    return [
        Item.model_construct(_fields_set={"id", "text"}, id=i, text=f"Wort {i} " + 600 * "x")
        for i in range(ITEMS)
    ]


@pytest.mark.parametrize("compress_bytes", [0, 8192])
async def test_a_miss_and_a_hit_take_many_turns(open_cache, turns, redis_server, compress_bytes):
    cache = open_cache(compress_bytes=compress_bytes, operation_timeout=5, stats_flush_seconds=600)

    @cache.cached(key_prefix="episodes", local_ttl=60)
    async def words() -> list[Item]:
        return made()

    missed, at_miss = await turns(words())
    hit, at_hit = await turns(words())
    assert missed == hit == made()
    assert min(at_miss, at_hit) > FEW_TURNS

    async def is_from_memory() -> bool:
        value, n_turns = await turns(words())
        assert value == made()
        assert n_turns > FEW_TURNS
        return "near" in cache.statistics_of(words).counts

    await aeventually(is_from_memory, within=30)
    assert cache.statistics_of(words).counts["loads"] == 1
    stored = parse(redis_server.command("GET", words.key_for()))
    assert stored.compression == ("zstd" if compress_bytes else "")


async def test_those_who_wait_for_a_load_do_too(open_cache, turns):
    cache = open_cache(operation_timeout=5, stats_flush_seconds=600)

    @cache.cached(key_prefix="episodes")
    async def words() -> list[Item]:
        await asyncio.sleep(0)
        return made()

    values, n_turns = await turns(asyncio.gather(*(words() for _ in range(3))))
    assert values == [made()] * 3
    assert n_turns > 3 * FEW_TURNS


async def test_a_batch_does_too(open_cache, turns):
    cache = open_cache(operation_timeout=5, stats_flush_seconds=600)

    @cache.cached(key_prefix="episodes")
    async def words(number: int) -> list[Item]:
        return made()

    @cached_many(words, each="numbers")
    async def many(numbers: list[int]) -> list[list[Item]]:
        return [made() for _ in numbers]

    missed, at_miss = await turns(many([1, 2]))
    hit, at_hit = await turns(many([1, 2]))
    assert missed == hit == [made()] * 2
    assert min(at_miss, at_hit) > 2 * FEW_TURNS


async def test_a_warm_does_too(open_cache, turns):
    cache = open_cache(operation_timeout=5, stats_flush_seconds=600)

    @cache.cached(key_prefix="episodes")
    async def words(number: int) -> list[Item]:
        return made()

    async def load(calls):
        return [made() for _ in calls]

    counts, n_turns = await turns(warm(cache, words, [{"number": 1}], load))
    assert counts.written == 1
    assert n_turns > FEW_TURNS
    assert await words(1) == made()


async def test_plain_values_come_back(cache):
    value = {"items": [{"id": i, "text": f"Wort {i} " + 600 * "x"} for i in range(ITEMS)], "total": ITEMS}
    assert await cache.set("episodes:1", value)
    assert await cache.get("episodes:1") == value


async def test_an_entry_of_an_earlier_version_is_a_hit(open_cache, redis_server):
    cache = open_cache(compress_bytes=0)

    @cache.cached(key_prefix="episodes")
    async def words() -> list[Item]:
        return made()

    await words()
    head, _, json_lines = redis_server.command("GET", words.key_for()).partition(b"\n")
    assert b"\n" in json_lines
    one_line = json.dumps(json.loads(json_lines), separators=(",", ":")).encode()
    redis_server.command("SET", words.key_for(), head + b"\n" + one_line)
    assert await words() == made()
    assert cache.statistics_of(words).counts["hits"] == 1


async def test_a_load_that_is_cancelled_while_its_value_is_encoded_gives_its_lease_back(open_cache, turns):
    cache = open_cache(stats_flush_seconds=600)

    @cache.cached(key_prefix="episodes")
    async def words() -> list[Item]:
        return made()

    Turns.seen.clear()
    call = asyncio.create_task(words())
    await aeventually(lambda: Turns.seen, every=0)  # the first portion was decoded, to compare it
    assert not call.done()
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call
    assert call.cancelled()
    assert await words() == made()
    assert cache.statistics_of(words).counts["loads"] == 2


async def test_an_oversized_entry_is_a_miss_and_counted(open_cache, redis_server):
    small = open_cache(max_decompressed_bytes=1024 * 1024, stats_flush_seconds=600)
    large = open_cache()

    async def text() -> str:
        return "Haus und Hof " * 100_000

    written = large.cached(key_prefix="subtitles")(text)
    read = small.cached(key_prefix="subtitles")(text)
    value = await written()
    assert await read() == value
    counts = small.statistics_of(read).counts
    assert (counts["oversized"], counts["misses"], counts.get("hits", 0)) == (1, 1, 0)
    assert parse(redis_server.command("GET", read.key_for())).compression == "", (
        "longer values are stored as they are"
    )
    assert await read() == await written() == value
    assert small.statistics_of(read).counts["hits"] == 1


async def test_whether_a_large_item_of_a_batch_is_refreshed_early_is_drawn_once(open_cache, monkeypatch):
    cache = open_cache(compress_bytes=0, operation_timeout=5, stats_flush_seconds=600)

    @cache.cached(key_prefix="episodes", early_refresh=1.0)
    async def words(number: int) -> list[Item]:
        return made()

    @cached_many(words, each="numbers")
    async def many(numbers: list[int]) -> list[list[Item]]:
        return [made() for _ in numbers]

    await many([1, 2])
    drawn = []
    monkeypatch.setattr(Lifetime, "draw_refresh", lambda _self, entry, _now_ms: drawn.append(entry.id))
    assert await many([1, 2]) == [made(), made()]
    assert len(drawn) == len(set(drawn)) == 2
