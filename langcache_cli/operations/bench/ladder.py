"""What is measured: a ladder of paths, from doing nothing to asking the database."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Self

from sqlalchemy import select

from langcache_cli.caching import Cache, CachedFunction
from langcache_cli.caching.tooling import warm
from langcache_cli.vocabulary import (
    Database,
    VocabularyWord,
    get_vocabulary_word,
    vocabulary_words,
    words_by_id,
)

PREFIX = "langcache_bench"
"""Begins the prefix of the keys of each run."""

SPARE_SECONDS = 300
"""Keys live so much longer than a run is planned to take; should it be killed, they end by themselves."""

WORDS = 200
"""Different words asked for: enough to be no single hot row, few enough to have them all cached."""

PATHS = {
    "noop": "an await that does nothing: what measuring costs",
    "ping": "a round trip to Redis",
    "get": "GET of a cached word, not decoded",
    "hit": "a cached call that hits",
    "miss": "a cached call that misses: lease, database, store",
    "database": "the same look-up without a cache",
}
"""What is measured, quickest first."""

WITHOUT_DATABASE = frozenset({"noop", "ping", "get"})
"""Those that need no database: with only these, GET is of a value of `PLAIN_BYTES`."""

PLAIN_BYTES = 300
"""About the size of a cached word."""


class EmptyVocabularyError(Exception):
    """There is no word to look up."""


class NotCachedError(Exception):
    """What was to be a hit was none."""


async def word_ids(database: Database) -> list[int]:
    """The words to ask for, at most `WORDS`.

    Raises:
        DatabaseError: The database could not be read.
        EmptyVocabularyError: It holds no words.
    """
    async with database.session() as session:
        found = list(await session.scalars(select(vocabulary_words.c.id).limit(WORDS)))
    if not found:
        raise EmptyVocabularyError(f"vocabulary_words is empty ({database.target})")
    return found


class Ladder(ABC):
    """Something to run for each path.

    Attributes:
        prefix: Of all its keys. Another run at the same time has another, and removes only its own.
        runs: By path.
        ttl_seconds: Of its keys.
    """

    def __init__(self, cache: Cache, *, planned_seconds: float) -> None:
        self._cache = cache
        self.ttl_seconds = round(planned_seconds) + SPARE_SECONDS
        self.prefix = f"{PREFIX}_{secrets.token_hex(4)}"
        self.runs: dict[str, Callable[[], Awaitable[object]]] = {
            "noop": lambda: asyncio.sleep(0),
            "ping": cache.ping,
        }

    @abstractmethod
    async def prepare(self) -> None:
        """Store what is to be read."""

    def only(self, paths: Collection[str]) -> Self:
        """Leave out all paths but these; none for all."""
        self.runs = {name: run for name, run in self.runs.items() if not paths or name in paths}
        return self

    async def aclose(self) -> None:  # noqa: B027 - most hold nothing
        """Give back what the runs need, when all have ended."""

    async def _get(self, key: str) -> bytes | None:
        stored: bytes | None = await self._cache.runtime().server.call("GET", key)
        return stored


class PlainLadder(Ladder):
    """The paths that need no database."""

    def __init__(self, cache: Cache, *, planned_seconds: float) -> None:
        super().__init__(cache, planned_seconds=planned_seconds)
        keys = [f"{cache.settings.namespace}:{self.prefix}:plain:{number}" for number in range(WORDS)]
        self._keys = keys
        order = itertools.cycle(keys)
        self.runs["get"] = lambda: self._get(next(order))

    async def prepare(self) -> None:
        """Store plain values."""
        value, milliseconds = PLAIN_BYTES * b"x", 1000 * self.ttl_seconds
        node = self._cache.runtime().bulk_store.server
        for reply in await node.call_many([("SET", key, value, "PX", milliseconds) for key in self._keys]):
            if isinstance(reply, Exception):
                raise reply


class WordLadder(Ladder):
    """All paths, about the same words."""

    def __init__(
        self, cache: Cache, database: Database, word_ids: Sequence[int], *, planned_seconds: float
    ) -> None:
        super().__init__(cache, planned_seconds=planned_seconds)
        self._database = database
        self._word_ids = word_ids
        self._ids = itertools.cycle(word_ids)
        self._fresh = itertools.count(1)
        self._loads = 0
        self._word: CachedFunction[[int, int], VocabularyWord | None] = cache.cached(
            key_prefix=self.prefix, ttl=self.ttl_seconds
        )(self.look_up)
        self.runs |= {
            "get": lambda: self._get(self._word.key_for(next(self._ids), 0)),
            "hit": self._hit,
            "miss": lambda: self._word(next(self._ids), next(self._fresh)),
            "database": lambda: self.look_up(next(self._ids), 0),
        }

    async def prepare(self) -> None:
        """Cache the words that are to be hit."""
        calls = [{"word_id": word_id, "fresh": 0} for word_id in self._word_ids]
        await warm(self._cache, self._word, calls, self._load)

    async def _load(self, calls: Sequence[Mapping[str, int]]) -> list[VocabularyWord | None]:
        word_ids = [call["word_id"] for call in calls]
        async with self._database.session() as session:
            words = await words_by_id(word_ids, session)
        return [words.get(word_id) for word_id in word_ids]

    async def look_up(self, word_id: int, fresh: int) -> VocabularyWord | None:  # noqa: ARG002 - makes keys differ
        """The word from the database."""
        self._loads += 1
        async with self._database.session() as session:
            return await get_vocabulary_word.uncached(word_id, session)

    async def _hit(self) -> None:
        loads = self._loads
        word_id = next(self._ids)
        await self._word(word_id, 0)
        if self._loads != loads:  # only hits run meanwhile
            keys = (self._word.key_for(word_id, 0),)
            await self._cache.runtime().server.lookup(keys)  # raises the refusal, if that is why
            raise NotCachedError
