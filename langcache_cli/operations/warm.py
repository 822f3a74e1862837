"""Warm the vocabulary: every word, by id and by spelling, and every page of every level list."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langcache_cli.caching import Cache, CachedFunction
from langcache_cli.caching.tooling import Pace, WarmCounts, warm
from langcache_cli.operations.dry_run import would_write
from langcache_cli.operations.opening import require_answer
from langcache_cli.operations.overlapping import overlapping
from langcache_cli.operations.type_filter import of_types
from langcache_cli.vocabulary import (
    Database,
    Group,
    VocabularyWord,
    find_vocabulary_word,
    get_vocabulary_level,
    get_vocabulary_word,
    groups,
    id_batches,
    spellings_of,
    words_of,
)
from langcache_cli.vocabulary.groups import WORDS_PER_BATCH

LOOK_UPS = (get_vocabulary_word, find_vocabulary_word, get_vocabulary_level)

BATCHES_AT_ONCE = 4
"""One is read while another is encoded, and others are claimed and stored."""


@dataclass(frozen=True, slots=True)
class WarmLine:
    """What became of the words, the spellings or the level lists of one group.

    Attributes:
        language: ISO 639-1 code; None for words without one, which no look-up can return.
        level: Difficulty level; None for words without one.
        what: ``words`` (by id), ``spellings`` (the same words as they are written) or ``level lists``.
        counts: The numbers.
        seconds: How long it took.
        began: When, by `time.perf_counter`.
    """

    language: str | None
    level: str | None
    what: str
    counts: WarmCounts = field(default_factory=WarmCounts)
    seconds: float = 0.0
    began: float = field(default=0.0, compare=False)

    def plus(self, counts: WarmCounts) -> WarmLine:
        """This line after another batch, which has just ended."""
        return replace(self, counts=self.counts + counts, seconds=time.perf_counter() - self.began)


@dataclass(frozen=True, slots=True)
class Verification:
    """Entries read back through the cached functions and compared with the database.

    Attributes:
        checked: How many.
        wrong: Keys whose value differed, or that were not there.
    """

    checked: int
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WarmReport:
    """What a warm did, or with ``dry_run`` would do.

    Attributes:
        lines: One for the words, the spellings and the level lists of each group.
        seconds: In all.
        dry_run: Whether nothing was written.
        verification: None when none was asked for.
    """

    lines: tuple[WarmLine, ...]
    seconds: float
    dry_run: bool
    verification: Verification | None = None

    @property
    def total(self) -> WarmCounts:
        """All lines together."""
        return sum((line.counts for line in self.lines), WarmCounts())

    def written(self, what: str) -> int:
        """How many entries of ``words``, ``spellings`` or ``level lists`` were stored."""
        return sum(line.counts.written for line in self.lines if line.what == what)


def _spelt(word: str, group: Group) -> dict[str, Any]:
    """The arguments with which `find_vocabulary_word` is asked for a word of a group."""
    return {"word": word, "language": group.language}


@dataclass(slots=True)
class VocabularyWarm:
    """One warm, which can be asked for its report at any time: after an interruption, too.

    Attributes:
        cache: Where to write.
        database: Where to read.
        languages: Only these; empty for all.
        levels: Only these; empty for all.
        types: Only look-ups of these cache types; empty for all.
        limit: Words on a page of a level list, as the backend asks for them.
        missing_only: Leave entries alone that are there.
        rate: Words and lists a second at most.
        dry_run: Count, but write nothing.
        verify: How many entries to read back.
        on_progress: Told the words and lists done so far, and how many there are.
    """

    cache: Cache
    database: Database
    languages: Collection[str] = ()
    levels: Collection[str] = ()
    types: Collection[str] = ()
    limit: int = 250
    missing_only: bool = False
    rate: float | None = None
    dry_run: bool = False
    verify: int = 0
    on_progress: Callable[[int, int], None] = lambda _done, _total: None
    _lines: dict[tuple[Group, str], WarmLine] = field(default_factory=dict)
    _started: float = field(default_factory=time.perf_counter)
    _verification: Verification | None = None
    _chosen: Collection[str] = ()
    _pace: Pace = field(default_factory=lambda: Pace(None))
    _done: int = 0
    _total: int = 0

    async def run(self) -> WarmReport:
        """Do it.

        Raises:
            CacheError: Redis could not be used; there is no such cache type.
            DatabaseError: The database could not be read.
        """
        self._chosen = of_types(self.cache.settings, LOOK_UPS, self.types)
        found = await groups(self.database, languages=self.languages, levels=self.levels)
        self._total = sum(map(self._entries, found))
        self.on_progress(0, self._total)
        self._pace = Pace(None if self.dry_run else self.rate)
        if not self.dry_run or self.missing_only:
            await require_answer(self.cache)
        for group in found:
            await self._words(group)
            for page in self._pages(group):
                await self._batch(group, "level lists", get_vocabulary_level, [page], self._load_pages)
        if self.verify and not self.dry_run:
            self._verification = await self._verify(found)
        report = self.report()
        if not self.dry_run:
            events = self.cache.runtime().fleet.events
            types = ", ".join(sorted(self.types)) or "the vocabulary"
            events.write_soon("warm", types, count=report.total.written, seconds=report.seconds)
        return report

    def report(self) -> WarmReport:
        """What has been done so far."""
        seconds = time.perf_counter() - self._started
        return WarmReport(tuple(self._lines.values()), seconds, self.dry_run, self._verification)

    def _takes(self, function: CachedFunction[Any, Any], group: Group) -> bool:
        """Whether a look-up is of the chosen types, and can find the words of a group."""
        findable = group.language is not None or function is get_vocabulary_word
        return findable and function.spec.keys.stem in self._chosen

    def _entries(self, group: Group) -> int:
        by_word = (get_vocabulary_word, find_vocabulary_word)
        times = sum(self._takes(function, group) for function in by_word)
        return times * group.words + len(self._pages(group))

    def _pages(self, group: Group) -> list[dict[str, Any]]:
        """The arguments of the level lists of a group, a page after the other."""
        if group.level is None or not self._takes(get_vocabulary_level, group):
            return []
        fixed = {"level": group.level, "limit": self.limit, "language": group.language}
        return [{**fixed, "offset": offset} for offset in range(0, group.words, self.limit)]

    async def _words(self, group: Group) -> None:
        async def load(calls: Sequence[Any]) -> list[VocabularyWord | None]:
            ids = [call["word_id"] for call in calls]
            words = await words_of(self.database, group, ids)
            return [words.get(word_id) for word_id in ids]

        async def store(ids: Sequence[int]) -> None:
            if self._takes(get_vocabulary_word, group):
                await self._batch(group, "words", get_vocabulary_word, [{"word_id": i} for i in ids], load)
            if self._takes(find_vocabulary_word, group):
                await self._spellings(group, ids)

        batches = id_batches(self.database, group, size=self._pace.step(WORDS_PER_BATCH))
        at_once = BATCHES_AT_ONCE if self.rate is None else 1
        await overlapping(batches, store, at_once=at_once)

    async def _spellings(self, group: Group, ids: Sequence[int]) -> None:
        """The words with some ids, as `find_vocabulary_word` is asked for them."""
        id_of = await spellings_of(self.database, group, ids)

        async def load(calls: Sequence[Any]) -> list[VocabularyWord | None]:
            found = await words_of(self.database, group, sorted(id_of[call["word"]] for call in calls))
            by_spelling = {word.word: word for word in found.values() if word.language == group.language}
            return [by_spelling.get(call["word"]) or await self._found(call) for call in calls]

        calls = [_spelt(word, group) for word in id_of]
        await self._batch(group, "spellings", find_vocabulary_word, calls, load)

    async def _found(self, call: dict[str, Any]) -> VocabularyWord | None:
        """A word that has been renamed or removed since its spelling was read."""
        async with self.database.session() as session:
            return await find_vocabulary_word.uncached(**call, db=session)

    async def _batch(
        self, group: Group, what: str, function: CachedFunction[Any, Any], calls: Sequence[Any], load: Any
    ) -> None:
        line = WarmLine(group.language, group.level, what, began=time.perf_counter())
        self._lines.setdefault((group, what), line)
        if self.dry_run:
            counts = await would_write(self.cache, function, calls, missing_only=self.missing_only)
        else:
            counts = await warm(self.cache, function, calls, load, missing_only=self.missing_only)
        self._lines[group, what] = self._lines[group, what].plus(counts)
        self._done += len(calls)
        self.on_progress(self._done, self._total)
        await self._pace.keep(len(calls))

    async def _load_pages(self, calls: Sequence[Any]) -> list[list[VocabularyWord]]:
        async with self.database.session() as session:
            return [await get_vocabulary_level.uncached(**call, db=session) for call in calls]

    async def _verify(self, found: Sequence[Group]) -> Verification:
        calls: list[tuple[CachedFunction[Any, Any], dict[str, Any]]] = []
        for group in found:
            calls += [(get_vocabulary_level, page) for page in self._pages(group)]
            async for ids in id_batches(self.database, group):
                some = set(random.sample(ids, min(self.verify, len(ids))))
                if self._takes(get_vocabulary_word, group):
                    calls += [(get_vocabulary_word, {"word_id": word_id}) for word_id in some]
                if self._takes(find_vocabulary_word, group):
                    spellings = (await spellings_of(self.database, group, ids)).items()
                    asked = [_spelt(word, group) for word, word_id in spellings if word_id in some]
                    calls += [(find_vocabulary_word, call) for call in asked]
        chosen = random.sample(calls, min(self.verify, len(calls)))
        wrong = [
            function.key_for(**call) for function, call in chosen if not await self._right(function, call)
        ]
        return Verification(len(chosen), tuple(wrong))

    async def _right(self, function: CachedFunction[Any, Any], call: dict[str, Any]) -> bool:
        """Whether a call is a hit, with the value that the database has."""
        async with self.database.session() as session:
            hits = self.cache.statistics_of(function)["hits"]
            value = await function(**call, db=session)
            was_hit = self.cache.statistics_of(function)["hits"] > hits
            return was_hit and value == await function.uncached(**call, db=session)
