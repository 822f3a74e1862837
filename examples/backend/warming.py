"""What `langcache warm --app examples.backend.warming:database` loads ahead of its readers."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker

from examples.backend.database import make_engine, prepare
from examples.backend.settings import BackendSettings
from examples.backend.vocabulary import get_level, get_word
from langcache_cli.vocabulary import LEVELS, VocabularyWord, vocabulary_words, words_by_id

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


async def every_word() -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    """All words, in batches of ids."""
    last, words = 0, vocabulary_words.c
    while True:
        async with sessions() as db:
            query = select(words.id).where(words.id > last).order_by(words.id).limit(WORDS_PER_BATCH)
            ids = list(await db.scalars(query))
        if not ids:
            return
        yield [{"word_id": word_id} for word_id in ids]
        last = ids[-1]


async def load_words(calls: Sequence[Mapping[str, Any]]) -> list[VocabularyWord | None]:
    """A batch of words in one query."""
    async with sessions() as db:
        found = await words_by_id([call["word_id"] for call in calls], db)
    return [found.get(call["word_id"]) for call in calls]


get_word.warmer(every_word, load=load_words)


@get_level.warmer
async def first_pages() -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    """The first page of each level, as the backend asks for it."""
    async with sessions() as db:
        yield [{"level": level, "limit": PAGE, "offset": 0, "db": db} for level in LEVELS]
