"""docs/migrating.md: the guide's backend runs with the lines that the page lists; so do the page's calls."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from langcache_cli.caching import cached, get_cache_stats, invalidate_cache, invalidate_tags
from tests.docs.blocks import ROOT, Block, run
from tests.docs.guide_backend import (
    LEVELS,
    Tables,
    VocabularyWord,
    Word,
    application,
    services,
    warm_vocabulary_cache,
)
from tests.docs.surroundings import SURROUNDINGS
from tests.docs.test_python_blocks import cache, read

__all__ = ["cache"]  # the fixture

PAGE = ROOT / "docs" / "migrating.md"
SYNCHRONOUS = ("dogpile.cache", "django-redis")
"""Libraries whose calls block: here they run in a thread without an event loop."""

PARAMETERS = {"cached_many": "word_ids, db", "invalidates": "word_id"}
"""Of a function that is decorated by these."""

pytestmark = pytest.mark.usefixtures("cache")


class Library:
    """The guide's services over a database of two words a level, whose queries are counted."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], db: AsyncSession) -> None:
        self.sessions, self.db = sessions, db
        self.services = services()
        self.queries = 0

    async def get_db(self) -> AsyncIterator[AsyncSession]:
        async with self.sessions() as db:
            yield db

    def count(self, *_: Any) -> None:
        self.queries += 1


@pytest.fixture
async def library(cache, tmp_path) -> AsyncIterator[Library]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/guide.db")
    async with engine.begin() as connection:
        await connection.run_sync(Tables.metadata.create_all)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    async with sessions() as db:
        words = (
            VocabularyWord(word=f"{level}-{n}", difficulty_level=level) for level in LEVELS for n in "12"
        )
        db.add_all(words)
        await db.commit()
        library = Library(sessions, db)
        event.listen(engine.sync_engine, "before_cursor_execute", library.count)
        yield library
    await engine.dispose()


async def test_the_unit_tests_of_the_guide():
    runs: list[int] = []

    @cached(ttl=60, key_prefix="test")
    async def expensive_operation(x: int) -> int:
        runs.append(x)
        return x * 2

    @cached(ttl=60, key_prefix="test_inv")
    async def get_data(key: str) -> str:
        return f"data_for_{key}"

    assert [await expensive_operation(x) for x in (5, 5, 10)] == [10, 10, 20]
    assert runs == [5, 10]
    assert await get_data("abc") == "data_for_abc"
    assert await invalidate_cache("cache:*test_inv*") == 1
    assert await get_data("abc") == "data_for_abc"
    guides = {"enabled", "used_memory_human", "used_memory_mb", "keys_count", "hits", "misses", "hit_rate"}
    assert guides | {"connected_clients", "uptime_days"} <= (await get_cache_stats()).keys()


async def test_the_hit_rate_is_a_share_and_a_percentage():
    @cached(ttl=60)
    async def read(x: int) -> int:
        return x

    for _ in range(4):
        await read(1)
    stats = await get_cache_stats()
    assert (stats["hit_rate"], stats["hit_rate_percent"]) == (0.75, 75.0)


async def test_the_services_of_the_guide_read_their_database_once(library):
    vocabulary, db = library.services.vocabulary, library.db
    for _ in range(2):
        assert await vocabulary.get_vocabulary_word(1, db) == Word(id=1, word="A1-1")
        assert [word.id for word in await vocabulary.get_vocabulary_level("A2", 250, 0, db)] == [3, 4]
        assert await vocabulary.get_vocabulary_word(word_id=99, db=db) is None
        assert await library.services.translation.translate_batch(["a", "b"], "en", "de") == [
            "a (de)",
            "b (de)",
        ]
    assert (library.queries, library.services.translated) == (3, ["a", "b"])
    assert vocabulary.get_vocabulary_word.key_for(1) == "cache:vocabulary:get_vocabulary_word:1"


async def test_rows_that_are_returned_as_they_are_are_read_at_each_call(library, caplog):
    @cached(ttl=3600, key_prefix="vocabulary")
    async def get_row(word_id: int, db: AsyncSession):
        return (
            await db.execute(select(VocabularyWord).where(VocabularyWord.id == word_id))
        ).scalar_one_or_none()

    for _ in range(2):
        assert (await get_row(1, library.db)).word == "A1-1"
    assert library.queries == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "VocabularyWord is not a plain JSON value" in caplog.text


@pytest.mark.parametrize("write", ["mark_word_known", "update_word_progress"])
async def test_a_write_removes_what_the_user_has_changed(library, write):
    progress = library.services.progress
    owner = library.services.vocabulary if write == "mark_word_known" else progress
    assert await progress.get_user_vocabulary_stats(1, library.db) == {"total_words": 0, "known_words": 0}
    await getattr(owner, write)(1, 7, True, library.db)
    assert await progress.get_user_vocabulary_stats(1, library.db) == {"total_words": 1, "known_words": 1}


async def test_the_pattern_of_a_user_needs_the_word_user_in_the_key():
    @cached(ttl=300, key_prefix="vocabulary_stats")
    async def get_user_vocabulary_stats(user_id: int) -> int:
        return user_id

    await get_user_vocabulary_stats(1)
    await get_user_vocabulary_stats(12)
    assert await invalidate_cache("cache:*vocabulary_stats*user:1*") == 0
    assert await invalidate_cache("cache:*vocabulary_stats*:1*") == 2, "that of user 12 as well"


async def test_the_warming_task_loads_what_its_readers_ask_for(library):
    await warm_vocabulary_cache(library.services.vocabulary, library.db)
    for level in LEVELS:
        assert len(await library.services.vocabulary.get_vocabulary_level(level, 250, 0, library.db)) == 2
    assert library.queries == len(LEVELS)


async def test_the_routes_of_the_guide(library):
    app = application(library.services, library.get_db)
    payload = {"text": "Hello world", "source_lang": "en", "target_lang": "de"}
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        for _ in range(2):
            page = await client.get("/api/vocabulary/library/level?level=A1")
            assert page.json() == [{"id": 1, "word": "A1-1"}, {"id": 2, "word": "A1-2"}]
            assert (await client.get("/series/Dark/episodes")).json() == [{"id": 1, "title": "Dark 1"}]
            translation = await client.post("/api/translate", json=payload)
            assert translation.json() == {"translation": "Hello world (de)"}
        assert (library.queries, library.services.translated) == (1, ["Dark", "Hello world"])
        assert (await client.get("/health/cache")).json()["status"] == "healthy"
        for cache_type in ("vocabulary", "all"):
            answer = await client.post(f"/admin/cache/clear?cache_type={cache_type}")
            assert answer.json() == {"status": "success", "cache_type": cache_type}
            await client.get("/api/vocabulary/library/level?level=A1")
        assert library.queries == 3


async def test_what_is_removed_while_it_is_loaded_is_not_stored():
    state, begun, go_on = {"value": "old"}, asyncio.Event(), asyncio.Event()

    @cached(ttl=60, key_prefix="vocabulary")
    async def read(item: int) -> str:
        value = state["value"]
        begun.set()
        await go_on.wait()
        return value

    call = asyncio.create_task(read(1))
    await begun.wait()
    state["value"] = "new"
    await read.invalidate(1)
    go_on.set()
    await call
    assert await read(1) == "new"


async def test_the_tags_of_the_pages_service_keep_its_numbers_right(tmp_path):
    async with SURROUNDINGS[PAGE](tmp_path) as names:
        found = await read(PAGE, names)
        service, db = found["VocabularyService"](), names["db"]
        assert await service.get_user_stats(42, db) == {"total_words": 2}
        await db.delete(await db.get(names["WordRow"], 8))
        await service.mark_word_known(42, 7, db)
        assert await service.get_user_stats(42, db) == {"total_words": 1}
        assert [word.id for word in await found["get_words"]([8, 7], db) if word] == [7]
        await invalidate_tags("word:7")


def ours(section: str) -> Iterator[str]:
    """The code in the second column of a section's table."""
    lines = PAGE.read_text("utf-8").split(f"## From {section}\n")[1].split("\n## ")[0].splitlines()
    for line in lines:
        cells = re.split(r"(?<!\\)\|", line)
        if len(cells) == 5:  # three, between two empty ones
            yield from (
                code.replace("\\|", "|") for code in re.findall(r"`([^`]+)`", cells[2]) if "(" in code
            )


@pytest.mark.parametrize("section", ["cashews", "aiocache", "fastapi-cache2", *SYNCHRONOUS])
async def test_the_calls_in_the_tables_run(section, tmp_path):
    async with SURROUNDINGS[PAGE](tmp_path) as names:
        found = await read(PAGE, names)
        codes = ours(section)
        assert codes
        for code in codes:
            if section in SYNCHRONOUS:
                await asyncio.to_thread(exec, whole(code), found)
            else:
                await run(Block(PAGE, 1, "python", whole(code), section), found)


def whole(code: str) -> str:
    """A cell as statements: a decorator gets a function, `with` a body."""
    if code.startswith("with "):
        return f"{code} pass"
    if not code.startswith("@"):
        return code
    name = code[1:].partition("(")[0]
    parameters = PARAMETERS.get(name) or ", ".join(re.findall(r"\{(\w+)", code))
    return f"{code}\nasync def cell({parameters}) -> str | None: ..."
