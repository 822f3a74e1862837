"""PgBouncer in transaction mode: no statement is used that only the server of the last transaction knows."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from langcache_cli.vocabulary import Database, get_vocabulary_word, groups, id_batches, words_of
from tests.cli.cli_support import TABLE, insert_statements, words
from tests.harness.cli import run_cli
from tests.harness.polling import eventually
from tests.harness.ports import LOCALHOST, ReservedPort

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed")


@pytest.fixture
def pooled_url(postgres_server, postgres_url, tmp_path: Path) -> Iterator[str]:
    """A database with three words, behind a PgBouncer that changes servers after each transaction."""
    name = postgres_url.rpartition("/")[2]
    for statement in (TABLE, *insert_statements([*words(3)])):
        postgres_server.execute(statement, database=name)
    port = ReservedPort()
    number = port.number
    settings = tmp_path / "pgbouncer.ini"
    settings.write_text(
        f"""[databases]
{name} = host={LOCALHOST} port={postgres_server.port} dbname={name} user=postgres
[pgbouncer]
listen_addr = {LOCALHOST}
listen_port = {number}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
server_round_robin = 1
ignore_startup_parameters = extra_float_digits
"""
    )
    port.release()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen([str(PROGRAM), *user, str(settings)], stderr=subprocess.PIPE, text=True)
    try:
        url = f"postgresql://app@{LOCALHOST}:{number}/{name}"
        eventually(lambda: listens(number) or process.poll() is not None)
        assert process.poll() is None, process.stderr and process.stderr.read()
        yield url
    finally:
        process.terminate()
        process.wait(10)
        if process.stderr:
            process.stderr.close()


def listens(port: int) -> bool:
    async def connected() -> bool:
        try:
            _, writer = await asyncio.open_connection(LOCALHOST, port)
        except OSError:
            return False
        writer.close()
        return True

    return asyncio.run(connected())


def test_warm_check_and_bench_work_behind_it(pooled_url, redis_url):
    env = {"REDIS_URL": redis_url, "DATABASE_URL": pooled_url}
    for line in (
        ("warm", "--verify", "5", "--limit", "2"),
        ("check", "--roundtrip"),
        ("bench", "--duration", "0.05", "--repeat", "2", "--concurrency", "8"),
    ):
        ended = run_cli(*line, env=env)
        assert ended.code == 0, ended


def test_many_sessions_at_once_and_other_clients_of_the_pool_do_not_meet(pooled_url):
    async def read(database: Database) -> None:
        for _ in range(20):
            for group in await groups(database):
                async for ids in id_batches(database, group):
                    assert len(await words_of(database, group, ids)) == 3
            async with database.session() as session:
                assert await get_vocabulary_word.uncached(1, session) is not None

    async def together() -> None:
        async with Database(pooled_url) as one, Database(f"{pooled_url}?statement_cache_size=0") as other:
            await asyncio.gather(*(read(database) for database in (one, other) for _ in range(4)))

    asyncio.run(together())


def test_statements_are_kept_only_where_no_pooler_is_in_between(pooled_url, postgres_url):
    async def keeps(url: str) -> bool:
        async with Database(url) as database:
            await database.keep_statements()
            return "prepared_statement_name_func" not in database._arguments()

    assert asyncio.run(keeps(postgres_url)) is True
    assert asyncio.run(keeps(pooled_url)) is False
    assert asyncio.run(keeps(f"{postgres_url}?statement_cache_size=0")) is False
