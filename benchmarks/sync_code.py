"""Synchronous code beside dogpile.cache: hits of one thread and of eight, and misses."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from benchmarks.rounds import Times, in_turns_timed
from benchmarks.words import Word, word
from langcache_cli.caching import Cache, CacheSettings

TTL = 3600
KEYS = 100
CALLS = 1000
MISSES = 200

Get = Callable[[int], Any]


def dogpile(url: str, *, distributed_lock: bool = False) -> Get:
    """A region with its default serializer, pickle."""
    from dogpile.cache import make_region

    arguments = {"url": url, "distributed_lock": distributed_lock, "thread_local_lock": not distributed_lock}
    region = make_region().configure("dogpile.cache.redis", expiration_time=TTL, arguments=arguments)

    @region.cache_on_arguments(namespace=f"dogpile-{distributed_lock}")
    def get_word(word_id: int) -> Word:
        return word(word_id)

    found: Get = get_word
    return found


def redis_py(url: str) -> Get:
    """No library at all: GET and json.loads."""
    import redis

    client = redis.from_url(url)

    def get(word_id: int) -> Any:
        stored = client.get(f"raw:{word_id}")
        if stored is None:
            client.set(f"raw:{word_id}", json.dumps(vars(word(word_id))), ex=TTL)
            return vars(word(word_id))
        return json.loads(stored)

    return get


def langcache(cache: Cache, prefix: str, **options: Any) -> Get:
    """`@cached` on a plain ``def``."""

    @cache.cached(key_prefix=prefix, ttl=TTL, **options)
    def get_word(word_id: int) -> Word:
        return word(word_id)

    return get_word


@asynccontextmanager
async def contenders(url: str) -> AsyncIterator[dict[str, Get]]:
    """The first is what the others are compared with."""
    settings = CacheSettings.load(env_file=None, redis_url=url)
    cache, by_loop = Cache(settings), Cache(settings)
    by_loop.thread_reads = lambda _: None  # type: ignore[method-assign] # as with a cluster
    yield {
        "dogpile.cache": dogpile(url),
        "dogpile.cache, distributed lock": dogpile(url, distributed_lock=True),
        "redis-py GET + json.loads": redis_py(url),
        "langcache": langcache(cache, "word"),
        "langcache, one tag": langcache(cache, "tagged_word", tags=("words",)),
        "langcache, early_refresh": langcache(cache, "early_word", early_refresh=0.001),
        "langcache, through its event loop": langcache(by_loop, "other_word"),
        "langcache, local_ttl": langcache(cache, "near_word", local_ttl=TTL),
    }
    for one in (cache, by_loop):
        await asyncio.to_thread(one.sync.close)


async def by_threads(url: str, rounds: int) -> dict[str, dict[str, Times]]:
    """Microseconds of a hit: those of one thread, and of all hits of eight threads together."""
    async with contenders(url) as gets:
        return {
            f"A synchronous hit, {threads} thread{'s' * (threads > 1)}": await _hits(gets, threads, rounds)
            for threads in (1, 8)
        }


async def misses(url: str, rounds: int) -> dict[str, Times]:
    """Microseconds of a call that runs the function and stores its value."""
    async with contenders(url) as gets:
        numbers = itertools.count(KEYS)
        works = {
            name: partial(asyncio.to_thread, _timed, get, numbers, MISSES)
            for name, get in gets.items()
            if "redis-py" not in name and name != "langcache, early_refresh" and "loop" not in name
        }
        return await in_turns_timed(works, rounds=rounds)


async def _hits(gets: dict[str, Get], threads: int, rounds: int) -> dict[str, Times]:
    with ThreadPoolExecutor(threads) as pool:
        for get in gets.values():
            list(pool.map(partial(_timed, get, count=KEYS), [itertools.count()] * threads))

        def together(get: Get) -> tuple[float, float]:
            calls = CALLS // threads
            started, cpu = time.perf_counter(), time.process_time()
            list(pool.map(partial(_timed, get, count=calls), [itertools.count()] * threads))
            seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
            return seconds / calls / threads * 1e6, cpu_seconds / calls / threads * 1e6

        works = {name: partial(asyncio.to_thread, together, get) for name, get in gets.items()}
        return await in_turns_timed(works, rounds=rounds)


def _timed(get: Get, numbers: Iterator[int], count: int) -> tuple[float, float]:
    """Wall and CPU time of a call, in microseconds. The pool's threads share ``numbers``."""
    started, cpu = time.perf_counter(), time.process_time()
    for number in itertools.islice(numbers, count):
        get(number % KEYS if count != MISSES else number)
    return (time.perf_counter() - started) / count * 1e6, (time.process_time() - cpu) / count * 1e6
