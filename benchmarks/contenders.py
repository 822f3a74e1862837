"""The libraries side by side, each used as its documentation shows it.

Every one is an async context manager that is given a Redis and hands out one coroutine function, which
returns the word of an id through the cache. That a call runs the function behind it is checked: it must not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from benchmarks.words import Word, load, word
from langcache_cli.caching import Cache, CacheSettings

TTL = 3600
NEAR_BYTES = 64 * 1024 * 1024

Get = Callable[[int], Awaitable[Any]]
Contender = Callable[[str], AbstractAsyncContextManager[Get]]


def with_invalidate(get: Any, invalidate: Callable[[int], Awaitable[Any]]) -> Get:
    """A coroutine function with a new attribute that removes the entry of an id, as langcache's have."""
    get.invalidate = invalidate
    return get


@asynccontextmanager
async def redis_py(url: str) -> AsyncIterator[Get]:
    """No library at all: GET and json.loads, over redis-py's own pool."""
    import redis.asyncio

    client = redis.asyncio.from_url(url)

    async def get(word_id: int) -> Any:
        stored = await client.get(f"raw:{word_id}")
        if stored is None:
            await client.set(f"raw:{word_id}", json.dumps(vars(word(word_id))), ex=TTL)
            return vars(word(word_id))
        return json.loads(stored)

    yield with_invalidate(get, lambda word_id: client.delete(f"raw:{word_id}"))
    await client.aclose()


def _langcache(prefix: str, **options: Any) -> Contender:
    @asynccontextmanager
    async def contender(url: str) -> AsyncIterator[Get]:
        async with Cache(CacheSettings.load(env_file=None, redis_url=url)) as cache:

            @cache.cached(key_prefix=prefix, ttl=TTL, **options)
            async def get_word(word_id: int) -> Word:
                return await load(word_id)

            yield get_word

    return contender


@asynccontextmanager
async def cashews(url: str) -> AsyncIterator[Get]:
    """`cache.setup` and `@cache(ttl, key)`."""
    from cashews import Cache as Cashews

    cache = Cashews()
    cache.setup(url)

    @cache(ttl=TTL, key="cashews:{word_id}")
    async def get_word(word_id: int) -> Word:
        return await load(word_id)

    yield with_invalidate(get_word, lambda word_id: cache.delete(f"cashews:{word_id}"))
    await cache.close()


@asynccontextmanager
async def aiocache(url: str) -> AsyncIterator[Get]:
    """`@cached` with the pickle serializer, which its documentation takes for objects."""
    from aiocache import Cache as AioCache
    from aiocache import cached
    from aiocache.serializers import PickleSerializer

    parts = urlsplit(url)

    @cached(
        ttl=TTL,
        cache=AioCache.REDIS,
        endpoint=parts.hostname,
        port=parts.port,
        namespace="aiocache",
        key_builder=lambda _function, word_id: f"{word_id}",
        serializer=PickleSerializer(),
    )
    async def get_word(word_id: int) -> Word:
        return await load(word_id)

    yield with_invalidate(get_word, lambda word_id: get_word.cache.delete(f"{word_id}"))
    await get_word.cache.close()


@asynccontextmanager
async def fastapi_cache2(url: str) -> AsyncIterator[Get]:
    """`FastAPICache.init` and `@cache(expire)`, called outside a request."""
    import redis.asyncio
    from fastapi_cache import FastAPICache
    from fastapi_cache.backends.redis import RedisBackend
    from fastapi_cache.decorator import cache

    client = redis.asyncio.from_url(url)
    FastAPICache.init(RedisBackend(client), prefix="fastapi-cache2")

    @cache(expire=TTL)
    async def get_word(word_id: int) -> Word:
        return await load(word_id)

    yield get_word
    FastAPICache.reset()
    await client.aclose()


@asynccontextmanager
async def dogpile(url: str) -> AsyncIterator[Get]:
    """A region for sync code: an event loop has to call it in a thread."""
    from dogpile.cache import make_region

    region = make_region().configure("dogpile.cache.redis", expiration_time=TTL, arguments={"url": url})

    @region.cache_on_arguments(namespace="dogpile")
    def get_word(word_id: int) -> Word:
        return word(word_id)

    async def get(word_id: int) -> Any:
        return await asyncio.to_thread(get_word, word_id)

    yield with_invalidate(get, lambda word_id: asyncio.to_thread(get_word.invalidate, word_id))


@asynccontextmanager
async def home_made(url: str) -> AsyncIterator[Get]:
    """The decorator of every tutorial: a key of ``str(args)``, GET, ``json.loads``, SETEX."""
    import redis.asyncio

    client = redis.asyncio.from_url(url, decode_responses=True)

    def cached(prefix: str) -> Callable[[Any], Any]:
        def decorate(function: Any) -> Any:
            @wraps(function)
            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                key = ":".join([prefix, function.__name__, *map(str, args), *map(str, kwargs.values())])
                stored = await client.get(key)
                if stored:
                    return json.loads(stored)
                value = await function(*args, **kwargs)
                await client.setex(key, TTL, json.dumps(vars(value), default=str))
                return value

            return wrapper

        return decorate

    @cached("home-made")
    async def get_word(word_id: int) -> Word:
        return await load(word_id)

    yield with_invalidate(get_word, lambda word_id: client.delete(f"home-made:get_word:{word_id}"))
    await client.aclose()


@asynccontextmanager
async def cashews_memory(_url: str) -> AsyncIterator[Get]:
    """`mem://`."""
    async with cashews("mem://") as get:
        yield get


@asynccontextmanager
async def aiocache_memory(_url: str) -> AsyncIterator[Get]:
    """`@cached` in its default memory."""
    from aiocache import cached

    @cached(ttl=TTL, namespace="aiocache", key_builder=lambda _function, word_id: f"{word_id}")
    async def get_word(word_id: int) -> Word:
        return await load(word_id)

    yield get_word


@asynccontextmanager
async def dogpile_memory(_url: str) -> AsyncIterator[Get]:
    """The memory backend; nothing blocks, so no thread is needed."""
    from dogpile.cache import make_region

    region = make_region().configure("dogpile.cache.memory", expiration_time=TTL)

    @region.cache_on_arguments(namespace="dogpile")
    def get_word(word_id: int) -> Word:
        return word(word_id)

    async def get(word_id: int) -> Any:
        return get_word(word_id)

    yield get


langcache = _langcache("word")
langcache_tagged = _langcache("tagged_word", tags=("words",))
langcache_tag_each = _langcache("own_tag_word", tags=("word:{word_id}",))
langcache_near = _langcache("near_word", local_ttl=TTL)

IN_REDIS: dict[str, Contender] = {
    "redis-py GET + json.loads": redis_py,
    "langcache": langcache,
    "langcache, one tag": langcache_tagged,
    "home-made decorator": home_made,
    "aiocache": aiocache,
    "cashews": cashews,
    "fastapi-cache2": fastapi_cache2,
    "dogpile.cache (threads)": dogpile,
}

IN_MEMORY: dict[str, Contender] = {
    "langcache, near": langcache_near,
    "aiocache, memory": aiocache_memory,
    "cashews, memory": cashews_memory,
    "dogpile.cache, memory": dogpile_memory,
}
