"""The ways in which applications use a cache, each with it and without: the answers must be the same.

Every program runs twice, under a cache that is disabled and under one that works; what it returns, what it
raises and what it leaves behind are compared. A difference is a fault of the cache, whatever the program
does.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
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

from langcache_cli.caching import Cache, cached_many
from langcache_cli.fastapi import cache_lifespan
from tests.harness.polling import aeventually
from tests.integration.cache_support import ROOT, cache_at

Program = Callable[[Cache], Awaitable[Any]]


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


@pytest.fixture
def compare(open_cache: Callable[..., Cache]) -> Callable[[Program], Awaitable[Any]]:
    """Runs a program without and with a cache; the outcome, which is the same, and it did use the cache."""

    async def run(program: Program) -> Any:
        without = await program(open_cache(redis_enabled=False))
        cache = open_cache()
        assert await program(cache) == without
        assert (await cache.stats())["hits"] > 0
        return without

    return run


# -- jobs, and tests with a loop of their own --


class Jobs:
    """Jobs of a scheduler: they show words, change one, or fail."""

    def __init__(self, cache: Cache) -> None:
        self.words = {number: f"word {number}" for number in range(5)}

        @cache.cached(key_prefix="vocabulary", tags=("words",))
        async def word(number: int) -> str:
            return self.words[number]

        @cached_many(word, each="numbers")
        async def all_words(numbers: Sequence[int]) -> list[str]:
            return [self.words[number] for number in numbers]

        self.word, self.all_words = word, all_words
        self.ways = {
            "key": word.invalidate,
            "tag": lambda _: cache.invalidate_tags("words"),
            "pattern": lambda _: cache.invalidate("cache:vocabulary:*"),
            "refresh": word.refresh,
        }

    async def show(self, numbers: Sequence[int]) -> list[str]:
        return [await self.word(number) for number in numbers] + await self.all_words(list(numbers))

    async def change(self, number: int, how: str) -> None:
        self.words[number] += f", changed by {how}"
        await self.ways[how](number)

    async def fail(self, number: int) -> None:
        await self.word(number)
        raise LookupError(f"job {number} failed")

    def run(self) -> list[Any]:
        """What an `asyncio.run` for each job returns and raises."""
        log: list[Any] = []
        for number, how in enumerate(("key", "tag", "pattern", "refresh", "key")):
            log.append(asyncio.run(self.show(range(5))))
            asyncio.run(self.change(number, how))
            log.append(asyncio.run(self.show([number, number])))
            with pytest.raises(LookupError) as raised:
                asyncio.run(self.fail(number))
            log.append(str(raised.value))
        return log


def test_a_job_runner_with_an_event_loop_for_each_job(redis_url: str) -> None:
    cache = cache_at(redis_url)
    assert Jobs(cache).run() == Jobs(cache_at(redis_url, redis_enabled=False)).run()
    assert asyncio.run(cache.stats())["hits"] > 0


SUITE = """
import pytest
from langcache_cli.caching import cached, close_redis_client, get_cache_stats, invalidate_tags

words = {1: "one", 2: "two"}
runs = []

@cached(key_prefix="vocabulary", tags=("word:{number}",))
async def word(number: int) -> str:
    runs.append(number)
    return words[number]

class Service:
    @cached(key_prefix="user_stats")
    async def length(self, number: int) -> int:
        return len(words[number])

    async def change(self, number: int, text: str) -> None:
        words[number] = text
        await invalidate_tags(f"word:{number}")
        await self.length.invalidate(number)

@pytest.mark.parametrize("text", ["eins", "een", "ichi", "uno"])
async def test_a_change_shows(text):
    assert await word(1) == words[1]
    await Service().change(1, text)
    assert await word(1) == await word(1) == text
    assert await Service().length(1) == len(text)

@pytest.mark.parametrize("again", range(3))
async def test_what_no_test_changes_stays(again):
    assert await word(2) == "two"
    assert await Service().length(2) == 3

def test_a_test_without_a_loop():
    assert word.key_for(1)

async def test_a_fixture_may_close_the_cache():
    assert await word(2) == "two"
    await close_redis_client()
    assert await word(2) == "two"

async def test_an_error_is_an_error():
    with pytest.raises(KeyError):
        await word(3)

async def test_the_cache_was_used():
    stats = await get_cache_stats()
    assert stats["enabled"] == (len(runs) < 12), runs
"""


def test_a_test_suite_with_an_event_loop_for_each_test(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "test_words.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )

    def outcome(enabled: str) -> list[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": redis_url,
            "REDIS_ENABLED": enabled,
        }
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-v",
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
            "-W",
            "error",
        ]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        lines = [line.split("[ ")[0].rsplit(" ", 3)[0] for line in done.stdout.splitlines() if "::" in line]
        assert done.returncode == 0, done.stdout + done.stderr
        return lines

    assert outcome("true") == outcome("false")


# -- sessions --


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


# -- methods --


async def test_methods_of_base_classes_and_classmethods(compare):
    async def program(cache: Cache) -> Any:
        class Repository:
            table = "none"

            @cache.cached(key_prefix="vocabulary")
            async def get(self, number: int) -> str:
                return f"{self.table} {number}"

            @classmethod
            @cache.cached(key_prefix="vocabulary_stats")
            async def describe(cls, number: int = 0) -> str:
                return f"{cls.__name__} {cls.table} {number}"

            @staticmethod
            @cache.cached(key_prefix="vocabulary_level")
            async def plain(text: str) -> str:
                return f"plain {text}"

        class Words(Repository):
            table = "words"

            async def get_twice(self, number: int) -> list[str]:
                return [await self.get(number), await super().get(number)]

        class Videos(Repository):
            table = "videos"

            @cache.cached(key_prefix="episodes")
            async def get(self, number: int) -> str:
                return f"own {await super().get(number)}"

        answers: list[Any] = []
        for _ in range(2):
            for kind in (Repository, Words, Videos):
                answers += [await kind().get(1), await kind().get(number=2)]
                answers += [await kind.describe(), await kind().describe(3), await kind.plain("x")]
            answers.append(await Words().get_twice(1))
            Words.table = "more words"
            await cache.invalidate("cache:*")
        return answers

    await compare(program)
