"""The ways in which applications use a cache, each with it and without: the answers must be the same.

Every program runs twice, under a cache that is disabled and under one that works; what it returns, what it
raises and what it leaves behind are compared. A difference is a fault of the cache, whatever the program
does.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import String, select
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from langcache_cli.caching import Cache
from langcache_cli.fastapi import cache_lifespan
from tests.harness.polling import aeventually


class Base(DeclarativeBase):
    pass


class WordRow(Base):
    __tablename__ = "words"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(40))


@pytest.fixture
def engines(tmp_path: Path) -> Callable[[], Any]:
    """``async with engines() as engine``: a new database with words 1 to 5."""
    made = []

    @asynccontextmanager
    async def database() -> AsyncIterator[AsyncEngine]:
        made.append(1)
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/words-{len(made)}.db")
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with AsyncSession(engine) as session:
            session.add_all(WordRow(id=number, text=f"word {number}") for number in range(1, 6))
            await session.commit()
        try:
            yield engine
        finally:
            await engine.dispose()

    return database


def words_of(cache: Cache) -> Callable[..., Awaitable[str]]:
    @cache.cached(key_prefix="vocabulary", tags=("word:{number}",))
    async def word(number: int, db: AsyncSession) -> str:
        found = await db.scalar(select(WordRow).where(WordRow.id == number))
        if found is None:
            raise HTTPException(404, f"no word {number}")
        return found.text

    return word


def application(cache: Cache, engine: AsyncEngine, log: list[str], *, scope: Any, late: bool) -> FastAPI:
    """Reads and changes words, with a session from a dependency that yields.

    Args:
        cache: Caches the words.
        engine: Where they are.
        log: Gets a line for each transaction that was rolled back.
        scope: Of the dependency.
        late: The dependency commits, after its ``yield``; otherwise the endpoint does.
    """
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    word = words_of(cache)

    async def get_db() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            try:
                yield session
                if late:
                    await session.commit()
            except Exception:  # whatever the request raised, as applications do it
                await session.rollback()
                log.append("rolled back")
                raise

    database = Depends(get_db, scope=scope)
    app = FastAPI(lifespan=cache_lifespan(cache=cache))

    @app.get("/{number}")
    async def read(number: int, db: AsyncSession = database) -> str:
        return await word(number, db)

    @app.post("/{number}/{text}")
    async def write(number: int, text: str, db: AsyncSession = database) -> str:
        row = await db.get_one(WordRow, number)
        row.text = text
        await db.flush()
        cache.after_commit(db, tags=[f"word:{number}"])
        if text == "bad":
            raise HTTPException(422, "no such word")
        if not late:
            await db.commit()
        return text

    return app


async def talk(app: FastAPI) -> list[tuple[int, str]]:
    """Read, change and read again; the last answers are old if something stays in the cache."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
        answers = [await client.get(f"/{number}") for number in (1, 2, 3, 9) for _ in range(2)]
        for text in ("new", "bad", "newer"):
            answers.append(await client.post(f"/1/{text}"))
            answers += await asyncio.gather(*(client.get("/1") for _ in range(3)))
        return [(answer.status_code, answer.text) for answer in answers]


@pytest.mark.parametrize("scope", ["function", "request"])
@pytest.mark.parametrize("late", [False, True], ids=["commit in the endpoint", "commit after the yield"])
async def test_sessions_from_a_dependency_that_yields(compare, engines, scope, late):
    async def program(cache: Cache) -> Any:
        log: list[str] = []
        async with engines() as engine:
            app = application(cache, engine, log, scope=scope, late=late)
            answers = await talk(app) + await talk(app)
            return answers, log, engine.pool.checkedout()

    answers, log, checked_out = await compare(program)
    assert answers[-1] == (200, '"newer"')
    assert log
    assert checked_out == 0


async def test_a_commit_after_the_response_shows_as_soon_as_it_was_made(compare, engines):
    async def program(cache: Cache) -> Any:
        async with engines() as engine:
            word = words_of(cache)
            answers: list[str] = []

            async def request(number: int) -> str:
                async with AsyncSession(engine) as session:
                    return await word(number, session)

            for turn in range(20):
                async with AsyncSession(engine) as session:
                    (await session.get_one(WordRow, 1)).text = f"turn {turn}"
                    cache.after_commit(session, tags=["word:1"])
                    # the response is sent; a client asks at once, and its answer is stored
                    answers += await asyncio.gather(*(request(1) for _ in range(3)))
                    await session.commit()
                answers += [await request(1), await request(1)]
            return answers

    assert (await compare(program))[-1] == "turn 19"


async def test_mocked_sessions(compare):
    async def program(cache: Cache) -> Any:
        word = words_of(cache)
        answers: list[Any] = []
        for kind in (AsyncMock, lambda **options: AsyncMock(spec=AsyncSession, **options), MagicMock):
            session = kind()
            session.scalar = AsyncMock(return_value=MagicMock(text="from a mock"))
            answers += [await word(1, session), await word(1, db=session)]
        missing = AsyncMock()
        missing.scalar.return_value = None
        for _ in range(2):
            with pytest.raises(HTTPException) as raised:
                await word(2, missing)
            answers.append(raised.value.detail)
        broken = AsyncMock()
        broken.scalar.side_effect = ConnectionError("no database")
        with pytest.raises(ConnectionError, match="no database"):
            await word(3, broken)
        return answers

    await compare(program)


async def test_a_mocked_repository_behind_a_service(compare):
    async def program(cache: Cache) -> Any:
        class Service:
            def __init__(self, repository: Any) -> None:
                self.repository = repository

            @cache.cached(key_prefix="user_stats")
            async def count(self, user: int) -> dict[str, int]:
                return {"user": user, "words": await self.repository.count(user)}

        repository = AsyncMock()
        repository.count.side_effect = lambda user: 10 * user
        service = Service(repository)
        answers = [await service.count(user) for user in (1, 2, 1, 2)]
        answers[0]["words"] = 0  # a caller may change what it got
        return [answers, await service.count(1), repository.count.await_args_list[:2]]

    await compare(program)


async def test_scoped_sessions(compare, engines):
    async def program(cache: Cache) -> Any:
        async with engines() as engine:
            sessions = async_scoped_session(async_sessionmaker(engine), scopefunc=asyncio.current_task)

            @cache.cached(key_prefix="vocabulary", tags=("words",))
            async def word(number: int) -> str:
                return (await sessions.execute(select(WordRow.text).where(WordRow.id == number))).scalar_one()

            async def request(number: int, text: str | None = None) -> str:
                try:
                    if text is not None:
                        (await sessions.get_one(WordRow, number)).text = text
                        cache.after_commit(sessions, tags=["words"])
                        await sessions.commit()
                    return await word(number)
                finally:
                    await sessions.remove()

            answers = [await asyncio.gather(*(request(number) for number in range(1, 6))) for _ in range(2)]
            for text in ("new", "newer"):
                answers.append([await asyncio.create_task(request(1, text))])
                answers.append(await asyncio.gather(*(request(1) for _ in range(3))))
            await aeventually(lambda: engine.pool.checkedout() == 0)
            return answers, len(sessions.registry.registry)

    assert (await compare(program))[1] == 0


async def test_a_cancelled_request_leaves_no_session_behind(compare, engines):
    async def program(cache: Cache) -> Any:
        async with engines() as engine:
            entered, log = asyncio.Event(), []

            @cache.cached(key_prefix="vocabulary")
            async def slow(number: int, db: AsyncSession) -> str:
                found = await db.scalar(select(WordRow.text).where(WordRow.id == number))
                entered.set()
                if not log:
                    await asyncio.sleep(60)  # until it is cancelled
                return found

            async def request() -> str:
                async with AsyncSession(engine) as session:
                    return await slow(1, session)

            task = asyncio.create_task(request())
            await entered.wait()
            task.cancel()
            await asyncio.wait([task])
            log.append(task.cancelled())
            log += [await request(), await request()]
            return log, engine.pool.checkedout()

    assert await compare(program) == ([True, "word 1", "word 1"], 0)
