"""The libraries side by side for many values at once.

Each uses the batch of its library where it has one: a look-up of many keys and a store of many. One without a
batch gathers its calls for single values, as its users have to.
"""

# no postponed annotations: the return types below are variables
import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from benchmarks.contenders import TTL
from benchmarks.words import Word, word
from langcache_cli.caching import Cache, CacheSettings, cached_many

GetMany = Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]


@dataclass(frozen=True)
class Kind:
    """What is asked for.

    Attributes:
        name: In a heading.
        item: What the value of a number is found by.
        load: The values of some items: the function behind the cache. It costs nothing.
        value_type: Their type.
        plain: A value as `json.dumps` takes it.
    """

    name: str
    item: Callable[[int], Any]
    load: Callable[[Sequence[Any]], list[Any]]
    value_type: type[Any]
    plain: Callable[[Any], Any]


texts = Kind(
    name="texts",
    item=lambda number: f"Der Satz Nummer {number} einer Folge",
    load=lambda items: [f"Sentence {item[16:]} of an episode" for item in items],
    value_type=str,
    plain=lambda value: value,
)
words = Kind(
    name="words",
    item=lambda number: number,
    load=lambda items: [word(number) for number in items],
    value_type=Word,
    plain=vars,
)

Contender = Callable[[str, Kind], AbstractAsyncContextManager[GetMany]]


@asynccontextmanager
async def redis_py(url: str, kind: Kind) -> AsyncIterator[GetMany]:
    """No library at all: MGET and json.loads; what is missing goes into one pipeline of SETs."""
    import redis.asyncio

    client = redis.asyncio.from_url(url)

    async def get_many(items: Sequence[Any]) -> list[Any]:
        keys = [f"raw:{kind.name}:{item}:de:en" for item in items]
        stored = await client.mget(keys)
        missing = [place for place, one in enumerate(stored) if one is None]
        values = [None if one is None else json.loads(one) for one in stored]
        if missing:
            pipeline = client.pipeline(transaction=False)
            for place, value in zip(missing, kind.load([items[place] for place in missing]), strict=True):
                pipeline.set(keys[place], json.dumps(kind.plain(value)), ex=TTL)
                values[place] = value
            await pipeline.execute()
        return values

    yield get_many
    await client.aclose()


def _langcache(prefix: str, **options: Any) -> Contender:
    @asynccontextmanager
    async def contender(url: str, kind: Kind) -> AsyncIterator[GetMany]:
        value_type: Any = kind.value_type
        async with Cache(CacheSettings.load(env_file=None, redis_url=url)) as cache:

            @cache.cached(key_prefix=f"{prefix}-{kind.name}", ttl=TTL, **options)
            async def one(item: Any, source: str, target: str) -> value_type:  # noqa: ARG001 - in the key
                return kind.load([item])[0]

            @cached_many(one, each="items")
            async def many(items: Sequence[Any], source: str, target: str) -> list[Any]:  # noqa: ARG001 - in the key
                return kind.load(items)

            async def get_many(items: Sequence[Any]) -> list[Any]:
                return await many(items, "de", "en")

            yield get_many

    return contender


@asynccontextmanager
async def cashews(url: str, kind: Kind) -> AsyncIterator[GetMany]:
    """`get_many` and `set_many`."""
    from cashews import Cache as Cashews

    cache = Cashews()
    cache.setup(url)
    absent = object()

    async def get_many(items: Sequence[Any]) -> list[Any]:
        keys = [f"cashews:{kind.name}:{item}:de:en" for item in items]
        values = list(await cache.get_many(*keys, default=absent))
        missing = [place for place, value in enumerate(values) if value is absent]
        if missing:
            loaded = kind.load([items[place] for place in missing])
            for place, value in zip(missing, loaded, strict=True):
                values[place] = value
            await cache.set_many({keys[place]: values[place] for place in missing}, expire=TTL)
        return values

    yield get_many
    await cache.close()


@asynccontextmanager
async def aiocache(url: str, kind: Kind) -> AsyncIterator[GetMany]:
    """`multi_get` and `multi_set`, with the pickle serializer, which its documentation takes for objects."""
    from aiocache import Cache as AioCache
    from aiocache.serializers import PickleSerializer

    parts = urlsplit(url)
    cache = AioCache(
        AioCache.REDIS,
        endpoint=parts.hostname,
        port=parts.port,
        namespace="aiocache-many",
        serializer=PickleSerializer(),
    )

    async def get_many(items: Sequence[Any]) -> list[Any]:
        keys = [f"{kind.name}:{item}:de:en" for item in items]
        values = list(await cache.multi_get(keys))
        missing = [place for place, value in enumerate(values) if value is None]
        if missing:
            loaded = kind.load([items[place] for place in missing])
            for place, value in zip(missing, loaded, strict=True):
                values[place] = value
            await cache.multi_set([(keys[place], values[place]) for place in missing], ttl=TTL)
        return values

    yield get_many
    await cache.close()


@asynccontextmanager
async def fastapi_cache2(url: str, kind: Kind) -> AsyncIterator[GetMany]:
    """It has no batch: its single calls side by side."""
    import redis.asyncio
    from fastapi_cache import FastAPICache
    from fastapi_cache.backends.redis import RedisBackend
    from fastapi_cache.decorator import cache

    client = redis.asyncio.from_url(url)
    value_type: Any = kind.value_type
    FastAPICache.init(RedisBackend(client), prefix=f"fastapi-cache2-{kind.name}")

    @cache(expire=TTL)
    async def one(item: Any, source: str, target: str) -> value_type:  # noqa: ARG001 - in the key
        return kind.load([item])[0]

    async def get_many(items: Sequence[Any]) -> list[Any]:
        return list(await asyncio.gather(*(one(item, "de", "en") for item in items)))

    yield get_many
    FastAPICache.reset()
    await client.aclose()


@asynccontextmanager
async def dogpile(url: str, kind: Kind) -> AsyncIterator[GetMany]:
    """`get_or_create_multi` of a region for sync code: an event loop has to call it in a thread."""
    from dogpile.cache import make_region

    region = make_region().configure("dogpile.cache.redis", expiration_time=TTL, arguments={"url": url})

    def get_multi(items: Sequence[Any]) -> Sequence[Any]:
        by_key = {f"dogpile:{kind.name}:{item}:de:en": item for item in items}
        return region.get_or_create_multi(
            list(by_key), lambda *keys: kind.load([by_key[key] for key in keys])
        )

    async def get_many(items: Sequence[Any]) -> Sequence[Any]:
        return await asyncio.to_thread(get_multi, items)

    yield get_many


CONTENDERS: dict[str, Contender] = {
    "redis-py MGET + json.loads": redis_py,
    "langcache": _langcache("many"),
    "langcache, one tag": _langcache("tagged-many", tags=("sentences",)),
    "cashews": cashews,
    "aiocache": aiocache,
    "fastapi-cache2, side by side": fastapi_cache2,
    "dogpile.cache (threads)": dogpile,
}
