"""The cached look-ups over real databases: order, pages, types, and what can be wrong with a database."""

import asyncio
import contextlib
import itertools
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import create_async_engine

from langcache_cli.caching import invalidate_tags, set_default_cache
from langcache_cli.caching.testing import memory_cache
from langcache_cli.vocabulary import (
    Database,
    DatabaseAuthenticationError,
    DatabaseConfigurationError,
    DatabaseUnavailableError,
    VocabularyWord,
    find_vocabulary_word,
    get_vocabulary_level,
    get_vocabulary_word,
    groups,
    id_batches,
    metadata,
    sample_database,
    sample_rows,
    spellings_of,
    vocabulary_words,
    words_of,
)
from tests.harness.ports import ReservedPort


def row(word_id, *, lemma="wort", rank=None, level="A1", language="de", word=None):
    return {
        "id": word_id,
        "word": word or f"wort{word_id}",
        "lemma": lemma,
        "language": language,
        "difficulty_level": level,
        "frequency_rank": rank,
    }


async def fill(url, rows):
    """Make the backend's table and put rows in; return the URL as a backend would write it."""
    driver = url.replace("postgresql://", "postgresql+asyncpg://").replace(
        "sqlite:///", "sqlite+aiosqlite:///"
    )
    engine = create_async_engine(driver)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        if rows:
            await connection.execute(insert(vocabulary_words), rows)
    await engine.dispose()
    return url


@pytest.fixture(params=["postgresql", "sqlite"])
def empty_url(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'words.db'}"


def make_empty_file(url):
    """SQLite opens only files that exist; to it an empty one is an empty database."""
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).touch()


async def level(database, *arguments, **options):
    async with database.session() as session:
        return await get_vocabulary_level.uncached(*arguments, session, **options)


async def test_a_level_is_ordered_by_rank_then_lemma_with_unranked_words_last(empty_url):
    rows = [
        row(1, lemma="b", rank=None),
        row(2, lemma="a", rank=None),
        row(3, lemma="z", rank=2),
        row(4, lemma="y", rank=1),
        row(5, lemma="x", rank=2),
    ]
    async with Database(await fill(empty_url, rows)) as database:
        assert [word.id for word in await level(database, "A1", 10, 0)] == [4, 5, 3, 2, 1]


async def test_pages_neither_repeat_nor_lose_words_that_are_equal_in_rank_and_lemma(empty_url):
    rows = [row(number, lemma="gleich", rank=7) for number in range(1, 31)]
    async with Database(await fill(empty_url, rows)) as database:
        pages = [await level(database, "A1", 7, offset) for offset in range(0, 35, 7)]
    assert [word.id for page in pages for word in page] == list(range(1, 31))


async def test_levels_and_languages_are_kept_apart(empty_url):
    rows = [row(1), row(2, level="A2"), row(3, language="es"), row(4, level=None)]
    async with Database(await fill(empty_url, rows)) as database:
        assert [word.id for word in await level(database, "A1", 10, 0)] == [1]
        assert [word.id for word in await level(database, "A1", 10, 0, language="es")] == [3]
        found = [(group.language, group.level, group.words) for group in await groups(database)]
        assert found == [("de", "A1", 1), ("de", "A2", 1), ("de", None, 1), ("es", "A1", 1)]
        batches = [ids for group in await groups(database) async for ids in id_batches(database, group)]
        assert sorted(itertools.chain.from_iterable(batches)) == [1, 2, 3, 4]


async def test_a_word_that_has_moved_to_another_group_is_found_and_one_that_is_gone_is_not(empty_url):
    await fill(empty_url, [row(number, word=f"w{number}") for number in range(1, 6)])
    async with Database(empty_url) as database:
        (group,) = await groups(database)
        async with database.engine.begin() as connection:
            table = vocabulary_words
            await connection.execute(update(table).where(table.c.id == 2).values(difficulty_level="B1"))
            await connection.execute(update(table).where(table.c.id == 5).values(language="es"))
            await connection.execute(delete(table).where(table.c.id == 3))
        words = await words_of(database, group, [1, 2, 3, 4, 5])
    assert sorted(words) == [1, 2, 4, 5]
    assert (words[2].difficulty_level, words[5].language) == ("B1", "es")


async def test_a_word_comes_with_the_types_of_its_columns_and_an_unknown_id_is_none(empty_url):
    async with Database(await fill(empty_url, sample_rows()[:3])) as database, database.session() as session:
        word = await get_vocabulary_word.uncached(1, session)
        assert isinstance(word, VocabularyWord)
        assert {name: getattr(word, name) for name in VocabularyWord.__slots__} == sample_rows()[0]
        assert await get_vocabulary_word.uncached(999, session) is None


async def test_a_spelling_finds_itself_then_another_case_then_a_lemma_and_only_in_its_language(empty_url):
    rows = [
        row(1, word="Morgen", lemma="Morgen"),
        row(2, word="morgen", lemma="morgen"),
        row(3, word="ging", lemma="gehen", rank=1),
        row(4, word="gegangen", lemma="gehen", rank=2),
        row(5, word="geht", lemma="gehen", rank=None),
        row(6, word="gehen", lemma="gehen", language="es"),
    ]
    async with Database(await fill(empty_url, rows)) as database, database.session() as session:

        async def found(word, language="de"):
            answer = await find_vocabulary_word.uncached(word, language, session)
            return answer and answer.id

        assert [await found(word) for word in ("Morgen", "morgen", "MORGEN")] == [1, 2, 1]
        assert [await found(word) for word in ("GEHT", "gehen", "Gehen")] == [5, 3, 3]
        assert [await found(word, "es") for word in ("gehen", "Morgen")] == [6, None]
        assert await found("g%") is None


async def test_the_spellings_of_a_group_are_those_of_some_ids(empty_url):
    rows = [row(1, word="eins"), row(2, word="zwei"), row(3, word="tres", language="es"), row(4, word="vier")]
    async with Database(await fill(empty_url, rows)) as database:
        german = (await groups(database))[0]
        assert await spellings_of(database, german, [1, 2, 3]) == {"eins": 1, "zwei": 2}


async def test_what_was_found_or_not_in_a_language_is_invalidated_by_one_tag(empty_url):
    await fill(empty_url, [row(1, word="Haus")])
    assert find_vocabulary_word.key_for("Haus", "de") == "cache:vocabulary:find_vocabulary_word:Haus:de"
    async with memory_cache() as cache, Database(empty_url) as database:
        before = set_default_cache(cache)
        try:
            for _ in range(2):
                async with database.session() as session:
                    assert (await find_vocabulary_word("Haus", "de", session)).id == 1
                    assert await find_vocabulary_word("Maus", "de", session) is None
            assert cache.statistics_of(find_vocabulary_word)["hits"] == 2
            async with database.engine.begin() as connection:
                await connection.execute(insert(vocabulary_words), [row(2, word="Maus")])
            await invalidate_tags("vocabulary:de")
            async with database.session() as session:
                assert (await find_vocabulary_word("Maus", "de", session)).id == 2
        finally:
            set_default_cache(before)


async def test_a_database_without_the_table_says_so(empty_url):
    make_empty_file(empty_url)
    async with Database(empty_url) as database:
        with pytest.raises(DatabaseConfigurationError, match="no table vocabulary_words"):
            await groups(database)


async def test_a_refused_login_is_told_apart_from_a_server_that_is_down(postgres_server):
    async with Database(postgres_server.url.replace("postgres@", "nobody_of_that_name:secret@")) as database:
        with pytest.raises(DatabaseAuthenticationError) as refused:
            await groups(database)
    port = ReservedPort()
    async with Database(f"postgresql://u:secret@127.0.0.1:{port.number}/x") as database:
        with pytest.raises(DatabaseUnavailableError) as down:
            await groups(database)
    port.release()
    assert "secret" not in str(refused.value) + str(down.value)


async def test_a_database_that_does_not_exist_is_a_matter_of_configuration(postgres_server):
    async with Database(postgres_server.url.rpartition("/")[0] + "/no_such_database") as database:
        with pytest.raises(DatabaseConfigurationError, match="no such database"):
            await groups(database)


async def test_a_missing_sqlite_file_is_not_created(tmp_path):
    path = tmp_path / "missing.db"
    async with Database(f"sqlite:///{path}") as database:
        with pytest.raises(DatabaseConfigurationError, match="no such database file"):
            await groups(database)
    assert not path.exists()


async def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path):
    path = tmp_path / "text.db"
    path.write_text("this is no database, but long enough to look at " * 100)
    async with Database(f"sqlite:///{path}") as database:
        with pytest.raises(DatabaseConfigurationError, match="not a SQLite database"):
            await groups(database)


async def test_a_server_that_has_ended_the_connection_is_not_there(postgres_server):
    url = await fill(postgres_server.create_database(), sample_rows()[:3])
    name = url.rpartition("/")[2]
    others = f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
    async with Database(url) as database:
        await groups(database)
        postgres_server.execute(others)
        with pytest.raises(DatabaseUnavailableError):
            await groups(database)
        assert len(await groups(database)) == 1


async def test_a_locked_file_is_said_to_be_locked(tmp_path):
    url = await fill(f"sqlite:///{tmp_path / 'w.db'}", sample_rows()[:3])
    with contextlib.closing(sqlite3.connect(tmp_path / "w.db")) as other:
        other.execute("begin exclusive")
        async with Database(url, timeout=0.1) as database:
            with pytest.raises(DatabaseUnavailableError, match="another process has locked"):
                await groups(database)


@pytest.mark.parametrize(
    "url", ["mysql://u:secret@host/db", "nonsense secret", "://secret", "postgresql://u:secret@host:port/x"]
)
def test_a_url_that_cannot_be_used_is_refused_without_being_shown(url):
    with pytest.raises(DatabaseConfigurationError) as caught:
        Database(url)
    assert "secret" not in str(caught.value)


def test_the_url_is_shown_without_user_and_password():
    assert Database("postgres://me:se%23cret@db.example:5433/lang?sslmode=require").target == (
        "postgresql://***@db.example:5433/lang"
    )


async def test_the_sample_database_is_made_once_and_never_found_half_made(tmp_path):
    urls = await asyncio.gather(*(asyncio.to_thread(sample_database, tmp_path / "s") for _ in range(4)))
    assert len(set(urls)) == 1
    assert [path.name for path in (tmp_path / "s").iterdir()] == [Path(urls[0]).name]
    async with Database(urls[0]) as database:
        assert [(group.level, group.words) for group in await groups(database)] == [
            ("A1", 250),
            ("A2", 250),
            ("B1", 250),
            ("B2", 250),
        ]
