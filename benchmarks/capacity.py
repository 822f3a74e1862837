"""What one server holds, up to 10^7 keys: memory of an entry, latency, CPU of Redis, removal by pattern.

    nice -n 10 python -m benchmarks.capacity [--keys 10000 100000 ...] [--shapes N] [--out NAME.json]

Takes minutes and gigabytes at 10^7 keys, so it is not part of `python -m benchmarks`. The entries are stored
by `warm`, so their bytes are those of an application. CPU is that of Redis' main thread.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import redis.asyncio

from benchmarks import recording
from benchmarks.filling import GetWord, fill, patient_cache
from benchmarks.rounds import percentile
from benchmarks.words import Word, load
from langcache_cli.caching import Cache
from tests.harness.redis_cluster import RedisCluster
from tests.harness.redis_server import RedisServer

KEYS = (10_000, 100_000, 1_000_000, 10_000_000)
SHAPED = 100_000
PRIMARIES = (1, 3, 6)
ENDING_TTL = 20
NOTES = {"as a word": 0, "1 KB of notes": 1_000, "4 KB of notes": 4_000}
SAMPLE = 1_000
HITS = 5_000
TURNS = 300
TURN = 100
MB = 1e6

Row = dict[str, float]
Table = dict[str, Row]


async def _memory(client: redis.asyncio.Redis, get_word: GetWord, keys: int, empty: int) -> Row:
    """Bytes of an entry: ours, from a sample, and what Redis takes beyond them."""
    info = await client.info("memory")
    names = [get_word.key_for(number) for number in random.sample(range(keys), min(keys, SAMPLE))]
    entries = await client.mget(names)
    heads, bodies = zip(*(entry.split(b"\n", 1) for entry in entries), strict=True)
    name, head, body = (
        statistics.fmean(map(len, texts)) for texts in ([one.encode() for one in names], heads, bodies)
    )
    whole = (info["used_memory"] - empty) / keys
    return {
        "used, MB": info["used_memory"] / MB,
        "bytes an entry": whole,
        "JSON": body,
        "header": head + 1,
        "key": name,
        "Redis": whole - body - head - 1 - name,
        "rss / used": info["used_memory_rss"] / info["used_memory"],
    }


async def _hits(get_word: GetWord, keys: int) -> Row:
    """Latencies of single hits, in microseconds."""
    found = []
    for _ in range(HITS):
        number = random.randrange(keys)
        started = time.perf_counter()
        await get_word(number)
        found.append((time.perf_counter() - started) * 1e6)
    return {"p50, µs": percentile(found, 50), "p99, µs": percentile(found, 99)}


async def _server_cpu(*clients: redis.asyncio.Redis) -> float:
    infos = [await client.info("cpu") for client in clients]
    return sum(info[f"used_cpu_{kind}_main_thread"] for info in infos for kind in ("user", "sys"))


async def _a_core(clients: Sequence[redis.asyncio.Redis], get_word: GetWord, keys: int) -> Row:
    """Hits that a CPU second of the servers' threads is enough for: one by one, and 100 in a turn."""

    async def single() -> int:
        for _ in range(HITS):
            await get_word(random.randrange(keys))
        return HITS

    async def turns() -> int:
        for _ in range(TURNS):
            await asyncio.gather(*(get_word(random.randrange(keys)) for _ in range(TURN)))
        return TURNS * TURN

    return {
        "hits/CPU s, one by one": await _per_cpu_second(clients, single),
        f"hits/CPU s, turns of {TURN}": await _per_cpu_second(clients, turns),
    }


async def _per_cpu_second(clients: Sequence[redis.asyncio.Redis], act: Callable[[], Awaitable[int]]) -> float:
    before = await _server_cpu(*clients)
    done = await act()
    return done / (await _server_cpu(*clients) - before)


async def _remove(cache: Cache, client: redis.asyncio.Redis) -> Row:
    """Seconds of a pattern that matches 1,000 keys: it looks at all."""
    await client.mset({f"cache:other:some:{number}": b"x" for number in range(1000)})
    cpu, started = await _server_cpu(client), time.perf_counter()
    removed = await cache.invalidate("cache:other:*")
    seconds, cpu = time.perf_counter() - started, await _server_cpu(client) - cpu
    assert removed == 1000, removed
    return {"1,000 by pattern, s": seconds, "1,000 by pattern, CPU s": cpu}


async def _clear(cache: Cache, client: redis.asyncio.Redis, keys: int) -> Row:
    cpu, started = await _server_cpu(client), time.perf_counter()
    removed = await cache.invalidate("cache:vocabulary:*")
    seconds, cpu = time.perf_counter() - started, await _server_cpu(client) - cpu
    assert removed == keys, removed
    info = await client.info("memory")
    return {"clear, s": seconds, "clear, CPU s": cpu, "used after, MB": info["used_memory"] / MB}


async def by_keys(url: str, sizes: Sequence[int]) -> Table:
    """A row for each number of keys; the same server is filled further."""
    table: Table = {}
    async with patient_cache(url) as cache, redis.asyncio.from_url(url) as client:

        @cache.cached(key_prefix="vocabulary", ttl=86_400)
        async def get_word(word_id: int) -> Word:
            return await load(word_id)

        @cache.cached(key_prefix="tagged", ttl=86_400, tags=["words"])
        async def get_tagged(word_id: int) -> Word:
            return await load(word_id)

        @cache.cached(key_prefix="near", ttl=86_400, local_ttl=3_600)
        async def get_near(word_id: int) -> Word:
            return await load(word_id)

        await get_word(0)  # scripts and connections are there before the memory is counted
        for number in range(SAMPLE):
            await get_tagged(number)
            await get_near(number)
        empty = (await client.info("memory"))["used_memory"]
        stored = 0
        for keys in sizes:
            row: Row = {"load of the machine": recording.load_average()}
            cpu = await _server_cpu(client)
            row["fill, keys/s"] = await fill(cache, get_word, range(stored, keys))
            row["fill, CPU µs a key"] = (await _server_cpu(client) - cpu) / (keys - stored) * 1e6
            stored = keys
            row |= await _memory(client, get_word, keys, empty)
            for name, function, among in (
                ("hit", get_word, keys),
                ("with a tag", get_tagged, SAMPLE),
                ("from memory", get_near, SAMPLE),
            ):
                if function is get_near:
                    await _hits(function, among)  # the first reads them into the memory
                row |= {f"{name}, {what}": value for what, value in (await _hits(function, among)).items()}
            row |= await _a_core([client], get_word, keys)
            row |= await _remove(cache, client)
            table[f"{keys:,} keys"] = row
            print(keys, json.dumps(row, ensure_ascii=False), flush=True)
        table[f"{stored:,} keys"] |= await _clear(cache, client, stored)
    return table


async def by_shape(url: str, keys: int) -> Table:
    """Memory of an entry for some sizes, without a tag, with one that all share, with one of its own."""
    table: Table = {}
    async with patient_cache(url) as cache, redis.asyncio.from_url(url) as client:
        for size, length in NOTES.items():
            for tags in ((), ("words",), ("word:{word_id}",)):

                @cache.cached(key_prefix="shaped", ttl=86_400, tags=tags)
                async def get_word(word_id: int) -> Word:
                    return await load(word_id)

                await client.flushall()
                await get_word(0)
                empty = (await client.info("memory"))["used_memory"]
                notes = "Anmerkung " * (length // 10) if length else None
                await fill(cache, get_word, range(keys), notes)
                name = f"{size}, {'a tag each' if 'word:' in str(tags) else f'{len(tags)} tags'}"
                table[name] = await _memory(client, get_word, keys, empty)
                print(name, json.dumps(table[name], ensure_ascii=False), flush=True)
    return table


async def by_primaries(keys: int) -> Table:
    """What a hit costs the servers of a cluster: all their main threads together."""
    table: Table = {}
    for primaries in PRIMARIES:
        with RedisCluster(primaries=primaries, replicas=0) as cluster:
            async with patient_cache(cluster.url) as cache, AsyncExitStack() as stack:
                clients = [
                    await stack.enter_async_context(redis.asyncio.from_url(node.url))
                    for node in cluster.nodes
                ]

                @cache.cached(key_prefix="vocabulary", ttl=86_400)
                async def get_word(word_id: int) -> Word:
                    return await load(word_id)

                row: Row = {"fill, keys/s": await fill(cache, get_word, range(keys))}
                row |= await _hits(get_word, keys)
                row |= await _a_core(clients, get_word, keys)
                table[f"{primaries} primaries"] = row
                print(primaries, json.dumps(row, ensure_ascii=False), flush=True)
    return table


async def after_ttl(url: str, keys: int) -> Row:
    """Keys that are still there once all have ended: nobody asks for them, so Redis must find them."""
    row: Row = {}
    async with patient_cache(url) as cache, redis.asyncio.from_url(url) as client:

        @cache.cached(key_prefix="ended", ttl=ENDING_TTL)
        async def get_word(word_id: int) -> Word:
            return await load(word_id)

        await fill(cache, get_word, range(keys))
        ended = time.perf_counter() + ENDING_TTL
        for seconds in (0, 1, 5, 10):
            await asyncio.sleep(max(0.0, ended + seconds - time.perf_counter()))
            row[f"keys left after {seconds} s"] = float(await client.dbsize())
    print(json.dumps(row), flush=True)
    return row


async def measure(sizes: Sequence[int], shaped: int) -> dict[str, Table | Row]:
    """All tables, each on servers of its own."""
    found: dict[str, Table | Row] = {}
    if shaped:
        with RedisServer() as server:
            found[f"Entries by shape, {shaped:,} of each"] = await by_shape(server.url, shaped)
        found[f"Hits on a cluster, {shaped:,} keys"] = await by_primaries(shaped)
        with RedisServer() as server:
            found[f"After the TTL of {shaped:,} keys"] = await after_ttl(server.url, shaped)
    with RedisServer() as server:
        return found | ({"Capacity by keys": await by_keys(server.url, sizes)} if sizes else {})


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.capacity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--keys", type=int, nargs="*", default=KEYS, help="sizes, smallest first")
    parser.add_argument("--shapes", type=int, default=SHAPED, help="entries of each shape; 0 for none")
    parser.add_argument("--out", type=Path, metavar="NAME.json")
    arguments = parser.parse_args()
    about, commit = recording.machine(), recording.commit()  # before: it takes minutes
    found = asyncio.run(measure(arguments.keys, arguments.shapes))
    recorded = recording.document(found, about, rounds=1) | {"commit": commit}
    document = json.dumps(recorded, indent=1, ensure_ascii=False)
    if arguments.out is None:
        print(document)
    else:
        arguments.out.write_text(document + "\n", "utf-8")


if __name__ == "__main__":
    main()
