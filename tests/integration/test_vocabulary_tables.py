"""Vocabulary tables and URLs as they are found: schemas, enum types, UUIDs, read-only SQLite files."""

import contextlib
import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import delete, text
from sqlalchemy.exc import DBAPIError

from langcache_cli.vocabulary import (
    Database,
    DatabaseConfigurationError,
    groups,
    id_batches,
    vocabulary_words,
    words_of,
)
from tests.integration.test_vocabulary import fill, level, row


async def test_an_option_of_libpq_names_the_schema_and_the_application(postgres_server, postgres_url):
    await fill(postgres_url, [])
    name = postgres_url.rpartition("/")[2]
    postgres_server.execute("CREATE SCHEMA app", database=name)
    postgres_server.execute("ALTER TABLE vocabulary_words SET SCHEMA app", database=name)
    async with Database(postgres_url) as database:
        with pytest.raises(DatabaseConfigurationError, match="no table"):
            await groups(database)
    options = (
        "options=-csearch_path%3Dapp&application_name=cron&statement_cache_size=0&channel_binding=require"
    )
    async with Database(f"{postgres_url}?{options}\n") as database:
        assert await groups(database) == []
        async with database.session() as session:
            assert await session.scalar(text("SHOW application_name")) == "cron"


async def test_a_setting_that_the_server_does_not_know_is_a_matter_of_configuration(postgres_url):
    settings = quote('{"no_such_setting": "1"}')
    async with Database(f"{postgres_url}?server_settings={settings}") as database:
        with pytest.raises(DatabaseConfigurationError, match="does not know a setting"):
            await groups(database)


async def test_levels_of_an_enum_type_are_warmed_as_text(postgres_server, postgres_url):
    await fill(postgres_url, [row(1), row(2, level="B1")])
    name = postgres_url.rpartition("/")[2]
    for statement in (
        "CREATE TYPE level AS ENUM ('A1', 'B1')",
        "ALTER TABLE vocabulary_words ALTER difficulty_level TYPE level USING difficulty_level::level",
    ):
        postgres_server.execute(statement, database=name)
    async with Database(postgres_url) as database:
        found = await groups(database, levels=["B1", "C2"])  # C2 is none of the type's
        assert [(group.level, group.words) for group in found] == [("B1", 1)]
        assert [ids async for ids in id_batches(database, found[0])] == [[2]]
        assert (await words_of(database, found[0], [2]))[2].difficulty_level == "B1"
        assert [word.id for word in await level(database, "A1", 10, 0)] == [1]


async def test_ids_of_another_type_are_a_matter_of_configuration_and_no_sql_is_shown(
    postgres_server, postgres_url
):
    name = postgres_url.rpartition("/")[2]
    columns = ", ".join(
        f"{column.name} {'uuid' if column.name == 'id' else 'text'}" for column in vocabulary_words.columns
    )
    statement = "INSERT INTO vocabulary_words (id, word, language) VALUES (gen_random_uuid(), 'a', 'de')"
    postgres_server.execute(f"CREATE TABLE vocabulary_words ({columns})", database=name)
    postgres_server.execute(statement, database=name)
    async with Database(postgres_url) as database:
        (group,) = await groups(database)
        (ids,) = [ids async for ids in id_batches(database, group)]
        with pytest.raises(DatabaseConfigurationError, match="another type") as caught:
            await words_of(database, group, ids)
    assert "SELECT" not in str(caught.value)


async def test_words_without_a_language_are_a_group_of_their_own(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "w.db")) as file:
        columns = ", ".join(column.name for column in vocabulary_words.columns)
        file.execute(f"CREATE TABLE vocabulary_words ({columns})")
        file.executemany(
            """INSERT INTO vocabulary_words (id, word, lemma, language, difficulty_level)
            VALUES (?, 'w', 'w', ?, 'A1')""",
            [(1, "de"), (2, None)],
        )
        file.commit()
    async with Database(f"sqlite:///{tmp_path / 'w.db'}") as database:
        found = await groups(database)
        assert [(group.language, group.words) for group in found] == [(None, 1), ("de", 1)]
        assert [ids async for ids in id_batches(database, found[0])] == [[2]]


async def test_a_sqlite_uri_opens_the_file_read_only(tmp_path):
    url = await fill(f"sqlite:///{tmp_path / 'w.db'}", [row(1)])
    read_only = url.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"
    async with Database(read_only) as database:
        assert len(await groups(database)) == 1
        async with database.session() as session:
            with pytest.raises(DBAPIError, match="readonly"):
                await session.execute(delete(vocabulary_words))
    async with Database(read_only.replace("w.db", "missing.db")) as database:
        with pytest.raises(DatabaseConfigurationError, match="no such database file"):
            await groups(database)


async def test_a_write_ahead_log_in_a_folder_that_cannot_be_written_to_says_so(tmp_path, monkeypatch):
    url = await fill(f"sqlite:///{tmp_path / 'w.db'}", [row(1)])
    with contextlib.closing(sqlite3.connect(tmp_path / "w.db")) as file:
        file.execute("PRAGMA journal_mode=WAL")
    assert not (tmp_path / "w.db-shm").exists()
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != tmp_path)  # root may write anywhere
    async with Database(url) as database:
        with pytest.raises(DatabaseConfigurationError, match=r"write-ahead log.*immutable=1"):
            await groups(database)
    async with Database(url.replace("sqlite:///", "sqlite:///file:") + "?immutable=1&uri=true") as database:
        assert len(await groups(database)) == 1
