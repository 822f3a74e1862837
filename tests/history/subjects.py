"""The cached functions of the workers, one for each kind of caching, and the ways to invalidate them.

Each returns what the database holds for an item: the name of the function, the item and its version, in a
type of its own, so that a value of another function or another entry cannot pass for it.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import BaseModel
from sqlalchemy import column, select, table
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from langcache_cli.caching import Cache, CachedFunction, CacheSettings
from tests.history.records import Subject

ITEMS = 6

NEAR = frozenset({"vocabulary", "progress"})
"""Those that are kept in the memory of the processes as well."""

COUNTERS = table("counters", column("name"), column("item"), column("version"))


@dataclass(frozen=True)
class Word:
    name: str
    item: int
    version: int


@dataclass(frozen=True)
class Subtitles:
    name: str
    item: int
    version: int


class Episode(BaseModel):
    name: str
    item: int
    version: int


@dataclass(frozen=True)
class Function:
    """A cached function of the run.

    Attributes:
        name: What the database and the journals know it by; also its cache type.
        call: The cached function.
        unpack: The name, item and version in a value of it; raises for a value of another type.
        tags: The tags of an item's entry.
    """

    name: str
    call: CachedFunction[Any, Any]
    unpack: Callable[[Any], tuple[str, int, int]]
    tags: Callable[[int], tuple[str, ...]]


def functions(
    cache: Cache,
    engine: AsyncEngine,
    pause: Callable[[], Awaitable[None]],
    *,
    running: Callable[[Subject], AbstractContextManager[object]] = nullcontext,
) -> dict[str, Function]:
    """The cached functions by name.

    Args:
        cache: Caches them.
        engine: The database.
        pause: Makes their loads as slow as loads are.
        running: Entered while one of them runs.
    """

    async def row(name: str, item: int, session: AsyncSession) -> tuple[str, int, int]:
        query = select(COUNTERS).where(COUNTERS.c.name == name, COUNTERS.c.item == item)
        found = (await session.execute(query)).one()
        await pause()
        return found.name, found.item, found.version

    @cache.cached(key_prefix="vocabulary", tags=("word:{item}",), local_ttl=60)
    async def vocabulary(item: int) -> Word:
        with running(("vocabulary", item)):
            async with AsyncSession(engine) as session:
                return Word(*await row("vocabulary", item, session))

    @cache.cached(key_prefix="translation", ttl=0.3, stale_ttl=2.0, tags=("word:{item}", "texts"))
    async def translation(item: int) -> tuple[str, int, int]:
        with running(("translation", item)):
            async with AsyncSession(engine) as session:
                return await row("translation", item, session)

    @cache.cached(key_prefix="user_stats", ttl=0.5, early_refresh=3.0, local_ttl=0.3)
    async def progress(item: int) -> dict[str, int | str]:
        with running(("progress", item)):
            async with AsyncSession(engine) as session:
                name, number, version = await row("progress", item, session)
            return {"name": name, "item": number, "version": version}

    @cache.cached(key_prefix="episodes", ttl=0.4, stale_ttl=1.0, early_refresh=1.0, tags=("video:{item}",))
    async def video(item: int, session: AsyncSession) -> Episode:
        with running(("video", item)):
            name, number, version = await row("video", item, session)
        return Episode(name=name, item=number, version=version)

    @cache.cached(key_prefix="subtitles", ttl=600)  # neither a TTL nor a tag ends an entry that was forgotten
    async def subtitles(item: int) -> Subtitles:
        with running(("subtitles", item)):
            async with AsyncSession(engine) as session:
                return Subtitles(*await row("subtitles", item, session))

    every = (
        Function("vocabulary", vocabulary, _of_class(Word), lambda item: (f"word:{item}",)),
        Function("translation", translation, _of_tuple, lambda item: (f"word:{item}", "texts")),
        Function("progress", progress, _of_dict, lambda _: ()),
        Function("video", video, _of_class(Episode), lambda item: (f"video:{item}",)),
        Function("subtitles", subtitles, _of_class(Subtitles), lambda _: ()),
    )
    return {function.name: function for function in every}


@lru_cache(maxsize=1)
def names_of_subjects() -> dict[Subject, tuple[str, ...]]:
    """`names` in a cache with the settings of the workers, without a connection."""
    settings = CacheSettings.load(env_file=None, redis_url="redis://localhost")
    return names(functions(Cache(settings), create_async_engine("sqlite+aiosqlite://"), _no_load))


async def _no_load() -> None:
    """Nothing is loaded."""


def names(every: Mapping[str, Function]) -> dict[Subject, tuple[str, ...]]:
    """The keys of each subject: that of its entry, and those of its tags."""
    return {
        (name, item): (every[name].call.key_for(item=item), *map(tag_key, every[name].tags(item)))
        for name, item in subjects()
    }


def tag_key(tag: str) -> str:
    """Where the version of a tag stands."""
    return f"cache@tag:{tag}"


def subjects() -> list[Subject]:
    """Everything that has a version."""
    names = ("vocabulary", "translation", "progress", "video", "subtitles")
    return [(name, item) for name in names for item in range(ITEMS)]


def load_seconds(chance: random.Random, *, lease_seconds: float, load_timeout: float) -> float:
    """How long one load takes: mostly milliseconds, rarely longer than a lease, or than loads may take."""
    throw = chance.random()
    if throw < 0.002:
        return 1.5 * load_timeout
    if throw < 0.02:
        return 1.5 * lease_seconds
    return 0.02 * chance.random() ** 3


def _of_class(kind: type[Any]) -> Callable[[Any], tuple[str, int, int]]:
    def unpack(value: Any) -> tuple[str, int, int]:
        _require(type(value) is kind, value)
        return value.name, value.item, value.version

    return unpack


def _of_tuple(value: Any) -> tuple[str, int, int]:
    _require(type(value) is tuple, value)
    name, item, version = value
    return name, item, version


def _of_dict(value: Any) -> tuple[str, int, int]:
    _require(type(value) is dict, value)
    return value["name"], value["item"], value["version"]


def _require(right: bool, value: object) -> None:
    if not right:
        raise TypeError(f"a value of another function: {value!r}")
