"""Tables, and one session for each request."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Column, Integer, Table, event, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.util import await_only

from examples.backend.settings import BackendSettings
from langcache_cli.vocabulary import metadata, sample_rows, vocabulary_words

known_words = Table(
    "known_words",
    metadata,
    Column("user_id", Integer, primary_key=True),
    Column("word_id", Integer, primary_key=True),
)


def make_engine(settings: BackendSettings) -> AsyncEngine:
    """Connects to nothing yet."""
    url = settings.database_url or f"sqlite:///{settings.backend_folder.resolve()}/words.db"
    scheme, rest = url.split("://", 1)
    driver = {"sqlite": "sqlite+aiosqlite"}.get(scheme, "postgresql+asyncpg")
    engine = create_async_engine(f"{driver}://{rest}")
    if settings.backend_database_delay:
        event.listen(
            engine.sync_engine,
            "before_cursor_execute",
            lambda *_: await_only(asyncio.sleep(settings.backend_database_delay)),
        )
    return engine


async def prepare(engine: AsyncEngine) -> None:
    """Make the tables, and fill in the bundled words if there are none.

    Of workers that start together one is the first; the others find its work done.
    """
    try:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            if not await _words(connection):
                await connection.execute(vocabulary_words.insert(), sample_rows())
    except DBAPIError:
        async with engine.connect() as connection:
            if not await _words(connection):
                raise


async def _words(connection: AsyncConnection) -> int:
    return await connection.scalar(select(func.count()).select_from(vocabulary_words)) or 0


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    async with AsyncSession(request.app.state.engine) as session:
        yield session


Session = Annotated[AsyncSession, Depends(_session)]
