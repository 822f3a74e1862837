"""Fixtures of the tests of the command: servers with passwords, databases with words."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from langcache_cli.cli.main import run
from tests.cli.cli_support import SECRET, TABLE, insert_statements, sqlite_database, words
from tests.cli.doctor_support import SOUND
from tests.harness.cli import Environment, Run
from tests.harness.polling import eventually
from tests.harness.postgres import PostgresServer
from tests.harness.redis_server import RedisServer

LOCKED_USER = "locked"


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """`call("stats", "--json", env={...})`: what the process calls, in this one.

    A process takes half a second to start. This is for what does not need one: messages and documents.
    """

    def call_one(*args: str, env: Environment | None = None) -> Run:
        with monkeypatch.context() as changed:
            for name, value in (env or {}).items():
                changed.setenv(name, value or "")
            code = run(args)
        return Run(int(code), *capfd.readouterr())

    return call_one


@pytest.fixture(scope="session")
def _secured_redis() -> Iterator[RedisServer]:
    with RedisServer(password=SECRET) as server:
        yield server


@pytest.fixture
def secured_redis(_secured_redis: RedisServer) -> RedisServer:
    """A server with a password, emptied."""
    _secured_redis.flush()
    return _secured_redis


@pytest.fixture(scope="session")
def _sound_redis() -> Iterator[RedisServer]:
    with RedisServer(config=[*SOUND, "lua-time-limit 10"]) as server:
        yield server


@pytest.fixture
def sound_redis(_sound_redis: RedisServer) -> RedisServer:
    """A server in which `doctor` finds nothing wrong, emptied."""
    _sound_redis.flush()
    for line in SOUND:
        _sound_redis.command("CONFIG", "SET", *line.split())
    return _sound_redis


@pytest.fixture(scope="session")
def three_words(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a SQLite database with three words of A1."""
    return sqlite_database(tmp_path_factory.mktemp("words") / "three.db", [*words(3)])


@pytest.fixture(scope="session")
def locked_postgres_url(postgres_server: PostgresServer) -> str:
    """`postgresql://locked:SECRET@...` would work here, with `{password}` in the place of the secret."""
    postgres_server.execute(f"CREATE ROLE {LOCKED_USER} LOGIN PASSWORD '{SECRET}'")
    rules = postgres_server.directory / "data" / "pg_hba.conf"
    rules.write_text(f"host all {LOCKED_USER} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
    loaded = postgres_server.execute("SELECT pg_conf_load_time()")
    postgres_server.execute("SELECT pg_reload_conf()")
    eventually(lambda: postgres_server.execute("SELECT pg_conf_load_time()") != loaded)
    return f"postgresql://{LOCKED_USER}:{{password}}@127.0.0.1:{postgres_server.port}/postgres"


@pytest.fixture(scope="session")
def postgres_words(postgres_server: PostgresServer) -> str:
    """The URL of a PostgreSQL database with three words of A1."""
    url = postgres_server.create_database()
    for statement in (TABLE, *insert_statements([*words(3)])):
        postgres_server.execute(statement, database=url.rpartition("/")[2])
    return url


@pytest.fixture
def state_folder(tmp_path: Path) -> Path:
    """Where `LANGCACHE_STATE_DIR` of this test points to."""
    return tmp_path / "state"
