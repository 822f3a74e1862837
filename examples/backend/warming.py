"""What `langcache warm --app examples.backend.warming:database` loads ahead of its readers."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker

from examples.backend.database import make_engine, prepare
from examples.backend.settings import BackendSettings
from examples.backend.vocabulary import get_level, get_word
from langcache_cli.vocabulary import (
    LEVELS,
    VocabularyWord,
    find_vocabulary_word,
    vocabulary_words,
    words_by_id,
)
from langcache_cli.vocabulary.words import WORD_COLUMNS

WORDS_PER_BATCH = 500
PAGE = 250
sessions = async_sessionmaker()
"""Bound to the database by `database`."""


@asynccontextmanager
async def database() -> AsyncIterator[None]:
    """Open the database for as long as the warmers run."""
    settings = BackendSettings()
    settings.backend_folder.mkdir(parents=True, exist_ok=True)
    engine = make_engine(settings)
    await prepare(engine)
    sessions.configure(bind=engine)
    try:
        yield
    finally:
        await engine.dispose()


async def all_rows() -> AsyncIterator[Sequence[Any]]:
    """Id, word and language of all words, in batches."""
    last, words = 0, vocabulary_words.c
    while True:
        async with sessions() as db:
            query = select(words.id, words.word, words.language).where(words.id > last).order_by(words.id)
            rows = (await db.execute(query.limit(WORDS_PER_BATCH))).all()
        if not rows:
            return
        yield rows
        last = rows[-1].id


async def every_word() -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    """All words by id."""
    async for rows in all_rows():
        yield [{"word_id": row.id} for row in rows]


async def load_words(calls: Sequence[Mapping[str, Any]]) -> list[VocabularyWord | None]:
    """A batch of words in one query."""
    async with sessions() as db:
        found = await words_by_id([call["word_id"] for call in calls], db)
    return [found.get(call["word_id"]) for call in calls]


async def every_spelling() -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    """All words as they are spelt in a text."""
    async for rows in all_rows():
        yield [{"word": row.word, "language": row.language} for row in rows]


async def load_spellings(calls: Sequence[Mapping[str, Any]]) -> list[VocabularyWord | None]:
    """A batch of words in one query; those that have been renamed meanwhile one by one."""
    async with sessions() as db:
        query = select(*WORD_COLUMNS).where(vocabulary_words.c.word.in_([call["word"] for call in calls]))
        words = [VocabularyWord(*row) for row in await db.execute(query)]
        found = {(word.word, word.language): word for word in words}
        return [
            found.get((call["word"], call["language"])) or await find_vocabulary_word.uncached(**call, db=db)
            for call in calls
        ]


get_word.warmer(every_word, load=load_words)
find_vocabulary_word.warmer(every_spelling, load=load_spellings)


@get_level.warmer
async def first_pages() -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    """The first page of each level, as the backend asks for it."""
    async with sessions() as db:
        yield [{"level": level, "limit": PAGE, "offset": 0, "db": db} for level in LEVELS]
