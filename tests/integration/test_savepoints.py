"""Invalidations that wait for a transaction: for which one, with commits and savepoints around it."""

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.integration.cache_support import Database


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "rows"
    id: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture
async def engine(tmp_path):
    url = f"sqlite:///{tmp_path}/rows.db"
    plain = create_engine(url)
    Base.metadata.create_all(plain)
    plain.dispose()
    engine = create_async_engine(url.replace("://", "+aiosqlite://"))
    yield engine
    await engine.dispose()


@pytest.fixture
async def words(cache) -> Database:
    database = Database(cache)
    await database.read(1)
    return database


async def ask(words: Database, session: object) -> None:
    """Ask for an invalidation; what it removes at once is stored again, as by a reader before the commit."""
    words.cache.after_commit(session, words.read.key_for(1))
    await refill(words)


async def refill(words: Database) -> None:
    await words.cache.runtime().background.finish(10)
    await words.read(1)


async def is_stored(words: Database) -> bool:
    return await words.cache.runtime().server.lookup((words.read.key_for(1),)) is not None


async def test_a_rollback_after_an_earlier_commit_invalidates_nothing(words, engine):
    async with AsyncSession(engine) as session:
        await session.execute(text("SELECT 1"))
        await ask(words, session)
        await session.commit()
        assert not await is_stored(words)
        await words.read(1)
        await session.execute(text("SELECT 1"))
        await ask(words, session)
        await session.rollback()
        assert await is_stored(words)


async def test_a_savepoint_inside_a_flush_hands_over_to_the_transaction(words, engine):
    async with AsyncSession(engine) as session:

        def in_a_flush(sync_session, *_):
            with sync_session.begin_nested():
                words.cache.after_commit(sync_session, words.read.key_for(1))

        event.listen(session.sync_session, "after_flush", in_a_flush)
        session.add(Row(id=1))
        await session.flush()
        await refill(words)
        assert await is_stored(words)
        await session.commit()
        assert not await is_stored(words)


async def test_a_savepoint_inside_a_flush_in_a_savepoint_is_dropped_with_that(words, engine):
    async with AsyncSession(engine) as session:

        def in_a_flush(sync_session, *_):
            with sync_session.begin_nested():
                words.cache.after_commit(sync_session, words.read.key_for(1))

        await session.execute(text("SELECT 1"))
        savepoint = await session.begin_nested()
        event.listen(session.sync_session, "after_flush", in_a_flush)
        session.add(Row(id=1))
        await session.flush()
        event.remove(session.sync_session, "after_flush", in_a_flush)
        await refill(words)
        await savepoint.rollback()
        await session.commit()
        assert await is_stored(words)
