"""`@invalidates` on functions with a database session: now, and again when its transaction commits."""

import asyncio
import contextlib
from unittest.mock import AsyncMock

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker
from sqlalchemy.orm import Session

from tests.integration.cache_support import Gate
from tests.integration.commit_support import gone, reload, write


@pytest.fixture
def edit(cache, words):
    @cache.invalidates(words.read)
    async def edit(item: int, db: AsyncSession, error: Exception | None = None) -> int:
        await write(db)
        if error is not None:
            raise error
        return item

    return edit


async def test_in_a_transaction_now_and_at_its_commit(words, session, edit):
    assert await edit(1, session) == 1
    assert await gone(words) == {1}
    await reload(words, 1)  # a reader who comes before the commit
    await session.commit()
    assert await gone(words) == {1}
    await reload(words, 1)
    await write(session)
    await session.commit()
    assert await gone(words) == set()


async def test_a_rollback_drops_the_second(words, session, edit):
    await edit(1, session)
    await reload(words, 1)
    await session.rollback()
    assert await gone(words) == set()


async def test_an_error_invalidates_nothing_even_if_the_transaction_is_committed(words, session, edit):
    with pytest.raises(LookupError):
        await edit(1, session, LookupError())
    await session.commit()
    assert await gone(words) == set()


async def test_a_function_that_commits_itself(cache, words, engine):
    @cache.invalidates(words.read)
    async def edit(item: int, factory: async_sessionmaker[AsyncSession], db: AsyncSession) -> None:
        async with factory() as own, own.begin():
            await write(own)
        await write(db)
        await db.commit()
        await write(db)  # begins another transaction, which is never committed

    async with AsyncSession(engine) as session:
        await edit(1, async_sessionmaker(engine), session)
        assert await gone(words) == {1}


async def test_a_cancelled_write_invalidates_at_once_and_at_a_commit(cache, words, session):
    gate = Gate()

    @cache.invalidates(words.read)
    async def edit(item: int, db: AsyncSession) -> None:
        await write(db)
        await gate()

    call = asyncio.create_task(edit(1, session))
    await gate.reached()
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call
    words.versions[1] = 1
    assert await words.read(1) == [1, 1]
    await reload(words, 1)
    await session.commit()
    assert await gone(words) == {1}


async def test_a_session_of_the_instance(cache, words, session):
    class Words:
        def __init__(self, db: AsyncSession | None) -> None:
            self.db = db

        @cache.invalidates(words.read, session="{self.db}")
        async def edit(self, item: int) -> None:
            if self.db is not None:
                await write(self.db)

    await Words(session).edit(1)
    await reload(words, 1)
    await session.commit()
    assert await gone(words) == {1}
    await Words(None).edit(2)
    assert await gone(words) == {1, 2}


async def test_scoped_sessions_and_test_doubles(cache, words, engine):
    scoped = async_scoped_session(async_sessionmaker(engine), scopefunc=asyncio.current_task)

    @cache.invalidates(words.read)
    async def edit(item: int, db: async_scoped_session) -> None:
        await write(db)

    await edit(1, scoped)
    await reload(words, 1)
    await scoped.commit()
    await scoped.remove()
    assert await gone(words) == {1}
    await edit(2, AsyncMock(spec=AsyncSession))
    assert await gone(words) == {1, 2}


async def test_a_plain_function_with_a_synchronous_session(cache, words, tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/sync.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE words (id int)"))

    @cache.invalidates(words.read)
    def edit(item: int, db: Session) -> int:
        db.execute(text("INSERT INTO words VALUES (1)"))
        return item

    def run() -> None:
        with Session(engine) as session:
            edit(1, session)
            again.set_result(None) if again.done() else loop.call_soon_threadsafe(again.set_result, None)
            asyncio.run_coroutine_threadsafe(reload(words, 1), loop).result(30)
            session.commit()

    loop = asyncio.get_running_loop()
    again = loop.create_future()
    await asyncio.to_thread(run)
    assert await gone(words) == {1}
    engine.dispose()
