"""``langcache doctor`` and the database: what is wrong with it has a name, and what it says to do works."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil
import pytest

from tests.cli.cli_support import HIDDEN, SECRET, TABLE, no_noise, sqlite_database, words
from tests.cli.doctor_support import BUSY_SECONDS, PATIENT, findings
from tests.harness.cli import Run
from tests.harness.polling import eventually
from tests.harness.ports import LOCALHOST, ReservedPort
from tests.harness.postgres import PostgresServer

Doctor = Callable[..., Run]

LACKS_TWO = TABLE.replace("notes TEXT, frequency_rank INTEGER, ", "")


@pytest.fixture
def doctor(call, sound_redis) -> Doctor:
    """`doctor(DATABASE_URL)`: with a Redis in which nothing is wrong."""

    def examine(url: str, *options: str) -> Run:
        env = {"REDIS_URL": sound_redis.url, "DATABASE_URL": url}
        ended = call("doctor", "--json", *(options or PATIENT), env=env)
        no_noise(ended)
        return ended

    return examine


def only(ended: Run, name: str) -> dict[str, str]:
    assert [*findings(ended)] == [name], ended
    return findings(ended)[name]


def run_sql(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)


def test_nothing_is_wrong_with_a_database_with_words(three_words, postgres_words, doctor):
    assert doctor(three_words).code == doctor(postgres_words).code == 0


def test_a_server_that_does_not_run(doctor):
    port = ReservedPort()
    ended = doctor(f"postgresql://u:{HIDDEN}@{LOCALHOST}:{port.number}/words")
    port.release()
    assert ended.code == 69
    assert "DATABASE_URL" in only(ended, "database-unreachable")["mend"]


def test_a_server_that_hangs_costs_no_more_than_the_timeout(postgres_words, postgres_server, doctor):
    assert doctor(postgres_words).code == 0  # all that is imported is there
    with suspended(postgres_server):
        ended, took = timed(lambda: doctor(postgres_words, "--timeout", "1"))
    assert ended.code == 69
    assert "did not answer" in only(ended, "database-unreachable")["found"]
    assert took < BUSY_SECONDS
    assert doctor(postgres_words).code == 0


def test_a_server_that_hangs_in_the_middle_costs_no_more_than_the_timeout(
    postgres_words, postgres_server, doctor
):
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"

    def hang_once_it_waits() -> None:
        eventually(lambda: postgres_server.execute(waiting) != "0", within=30)
        hung.enter_context(suspended(postgres_server))

    with locked_table(postgres_words), ExitStack() as hung, ThreadPoolExecutor() as other_thread:
        hanging = other_thread.submit(hang_once_it_waits)
        ended, took = timed(lambda: doctor(postgres_words, "--timeout", "1.5"))
        hanging.result()
    assert ended.code == 69
    assert only(ended, "database-unreachable")
    assert took < BUSY_SECONDS
    assert doctor(postgres_words).code == 0


def timed(run: Callable[[], Run]) -> tuple[Run, float]:
    started = time.monotonic()
    return run(), time.monotonic() - started


@contextmanager
def suspended(server: PostgresServer) -> Iterator[None]:
    """Hang all its processes."""
    first = psutil.Process(server.pid)
    processes = [first, *first.children()]
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # that of psql may have just ended
            process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


@contextmanager
def locked_table(url: str) -> Iterator[None]:
    """Have every reader of the table wait."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(url))
        runner.run(connection.execute("BEGIN; LOCK TABLE vocabulary_words IN ACCESS EXCLUSIVE MODE"))
        try:
            yield
        finally:
            runner.run(connection.close())


def test_a_login_that_is_refused(locked_postgres_url, doctor):
    ended = doctor(locked_postgres_url.format(password=quote(f"{SECRET}-", safe="")))
    assert ended.code == 77
    assert only(ended, "database-login-refused")


def test_a_user_who_may_not_read(locked_postgres_url, postgres_server, doctor):
    postgres_server.execute(TABLE)
    url = locked_postgres_url.format(password=HIDDEN)
    try:
        ended = doctor(url)
        mend = only(ended, "database-right-missing")["mend"]
        postgres_server.execute(mend.partition(": ")[2])
        assert only(doctor(url), "database-empty")
    finally:
        postgres_server.execute("DROP TABLE vocabulary_words")
    assert ended.code == 77


def test_no_table_no_columns_no_words(tmp_path, doctor):
    path = tmp_path / "words.db"
    url = f"sqlite:///{path}"
    ended = doctor(url)
    assert ended.code == 78
    assert only(ended, "database-file-missing")
    path.touch()
    assert only(doctor(url), "database-table-missing")
    run_sql(path, LACKS_TWO)
    ended = doctor(url)
    assert ended.code == 1
    found = only(ended, "database-column-missing")
    assert "the columns notes, frequency_rank" in found["found"]
    run_sql(path, found["mend"].partition(": ")[2])
    ended = doctor(url)
    assert ended.code == 1
    assert only(ended, "database-empty")["severity"] == "warning"
    run_sql(path, "INSERT INTO vocabulary_words (id, word, lemma, language) VALUES (1, 'a', 'a', 'de')")
    assert doctor(url).code == 0


def test_columns_that_a_table_of_postgresql_lacks(postgres_url, postgres_server, doctor):
    database = postgres_url.rpartition("/")[2]
    postgres_server.execute(LACKS_TWO, database=database)
    found = only(doctor(postgres_url), "database-column-missing")
    postgres_server.execute(found["mend"].partition(": ")[2], database=database)
    assert only(doctor(postgres_url), "database-empty")


def test_a_url_that_is_none_and_a_database_that_does_not_exist(postgres_server, tmp_path, doctor):
    ended = doctor("mysql://localhost/words")
    assert ended.code == 78
    assert "not supported" in only(ended, "database-unusable")["found"]
    ended = doctor(f"{postgres_server.url.rpartition('/')[0]}/nowhere")
    assert ended.code == 78
    assert only(ended, "database-missing")
    assert doctor(sqlite_database(tmp_path / "some.db", [*words(3)])).code == 0
