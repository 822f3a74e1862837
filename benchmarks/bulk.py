"""Warming and clearing many keys, beside what a script with redis-py would do; and a reader meanwhile."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path

import redis.asyncio
from sqlalchemy import text

from benchmarks.rounds import Measured, in_turns, percentile
from langcache_cli.__main__ import OBJECTS_BETWEEN_COLLECTIONS
from langcache_cli.caching import Cache, CacheSettings, set_default_cache
from langcache_cli.caching.tooling import warm
from langcache_cli.operations.clear import Clearing, Target
from langcache_cli.operations.overlapping import overlapping
from langcache_cli.operations.warm import BATCHES_AT_ONCE, VocabularyWarm
from langcache_cli.vocabulary import Database, Group, get_vocabulary_word, id_batches, metadata, words_of
from tests.harness.redis_server import RedisServer

WORDS = 100_000
CLEARED = 200_000
OTHERS = 200_000
GENTLE_RATE = 20_000
READY_MADE = b"lc1 entry" + b"x" * 380
READER = Path(__file__).with_name("reader.py")


async def fill_database(database: Database, words: int) -> None:
    """The backend's table with so many words, in no level: of words, not of lists, there are many."""
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
        await connection.execute(
            text(
                "insert into vocabulary_words (id, word, lemma, language, part_of_speech,"
                " gender, translation_en, pronunciation, frequency_rank) select i, 'Beispielwort' || i,"
                " 'beispielwort' || i, 'de', 'noun', 'neuter', 'example word ' || i, 'baishpiil', i"
                f" from generate_series(1, {words}) i"
            )
        )
        await connection.execute(text("analyze vocabulary_words"))


async def _pipeline(url: str, words: int) -> float:
    client = redis.asyncio.from_url(url)
    await client.flushall()
    started = time.perf_counter()
    for first in range(0, words, 1000):
        pipeline = client.pipeline(transaction=False)
        for number in range(first, first + 1000):
            pipeline.set(f"cache:vocabulary:get_vocabulary_word:{number}", READY_MADE, ex=3600)
        await pipeline.execute()
    seconds = time.perf_counter() - started
    await client.aclose()
    return words / seconds


async def _warm(cache: Cache, database: Database, words: int) -> float:
    await cache.client().flushall()
    group = Group("de", None, words)

    async def load(calls):  # type: ignore[no-untyped-def] # as in operations/warm.py
        ids = [call["word_id"] for call in calls]
        found = await words_of(database, group, ids)
        return [found.get(word_id) for word_id in ids]

    async def store(ids: Sequence[int]) -> None:
        counts = await warm(cache, get_vocabulary_word, [{"word_id": number} for number in ids], load)
        assert counts.written == len(ids), counts

    thresholds = gc.get_threshold()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)  # as the command does
    started = time.perf_counter()
    await overlapping(id_batches(database, group), store, at_once=BATCHES_AT_ONCE)
    seconds = time.perf_counter() - started
    gc.set_threshold(*thresholds)
    return words / seconds


async def warming(url: str, database_url: str, rounds: int) -> dict[str, Measured]:
    """Words a second."""
    cache = Cache(CacheSettings.load(env_file=None, redis_url=url))
    before = set_default_cache(cache)
    async with Database(database_url) as database, cache:
        await fill_database(database, WORDS)
        found = await in_turns(
            {
                "redis-py pipeline, SET EX of ready-made bytes": lambda: _pipeline(url, WORDS),
                "langcache, from PostgreSQL, with leases": lambda: _warm(cache, database, WORDS),
            },
            rounds=rounds,
        )
    set_default_cache(before)
    return found


async def _fill(client: redis.asyncio.Redis) -> None:
    await client.flushall()
    for first in range(0, CLEARED, 1000):
        pipeline = client.pipeline(transaction=False)
        for number in range(first, first + 1000):
            pipeline.set(f"cache:vocabulary:get_vocabulary_word:{number}", READY_MADE, ex=3600)
            pipeline.set(f"cache:translation:translate_text:{number}", READY_MADE, ex=3600)
        await pipeline.execute()


async def clearing(url: str, rounds: int) -> dict[str, Measured]:
    """Removed keys a second, 200,000 among 400,000."""
    client = redis.asyncio.from_url(url)

    async def scan_and_del() -> float:
        await _fill(client)
        started, cursor = time.perf_counter(), 0
        while True:
            cursor, keys = await client.scan(cursor, match="cache:vocabulary:*", count=100)
            if keys:
                await client.delete(*keys)
            if not cursor:
                return CLEARED / (time.perf_counter() - started)

    async with Cache(CacheSettings.load(env_file=None, redis_url=url), defer_invalidations=False) as cache:

        async def ours() -> float:
            await _fill(client)
            started = time.perf_counter()
            report = await Clearing(cache, Target(types=("vocabulary",))).run()
            assert report.count == CLEARED
            return CLEARED / (time.perf_counter() - started)

        found = await in_turns(
            {"redis-py, SCAN COUNT 100 + DEL": scan_and_del, "langcache": ours}, rounds=rounds
        )
    await client.aclose()
    return found


async def reader_p99_ms(server: RedisServer, database_url: str) -> dict[str, float]:
    """p99 of GETs by another process: idle, and while keys are written or removed in various ways."""
    cache = Cache(CacheSettings.load(env_file=None, redis_url=server.url), defer_invalidations=False)
    before = set_default_cache(cache)
    target, gentle = Target(types=("vocabulary",)), f"--rate {GENTLE_RATE}"
    async with Database(database_url) as database, cache:
        client = cache.client()
        paced = VocabularyWarm(cache, database, rate=GENTLE_RATE)
        found = {"idle": await _while_reading(server, asyncio.sleep(2))}
        for name, work in {
            "redis-py pipeline": lambda: _pipeline(server.url, WORDS),
            "warm": lambda: _warm(cache, database, WORDS),
            f"warm {gentle}": paced.run,
        }.items():
            await client.flushall()  # here, not meanwhile: many keys take it a tenth of a second
            found[name] = await _while_reading(server, work())
        for name, rate in {"clear": None, f"clear {gentle}": GENTLE_RATE}.items():
            await _fill(client)
            found[name] = await _while_reading(server, Clearing(cache, target, rate).run())
    set_default_cache(before)
    return found


async def _while_reading(server: RedisServer, work: Awaitable[object]) -> float:
    reader = await asyncio.create_subprocess_exec(
        sys.executable, str(READER), str(server.port), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert reader.stdout is not None
    await reader.stdout.readline()  # it is ready
    await work
    output, _ = await reader.communicate(b"stop\n")
    return percentile([float(line) for line in output.split()], 99)
