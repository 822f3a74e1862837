"""Servers that fail: every exit code, in a process of its own, one clear line, no secret, no traceback."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from tests.cli.cli_support import HIDDEN, SECRET, TABLE, complaint, keys_of, sqlite_database, url_of, words
from tests.harness.cli import run_cli
from tests.harness.polling import eventually
from tests.harness.ports import LOCALHOST, ReservedPort


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nobody listens."""
    port = ReservedPort()
    yield f"{LOCALHOST}:{port.number}"
    port.release()


def test_redis_down_is_69_and_the_one_line_says_how_to_start_one(nobody, call):
    env = {"REDIS_URL": f"redis://:{HIDDEN}@{nobody}/0"}
    stats = run_cli("stats", env=env)
    check, status = call("check", "--roundtrip", "--json", env=env), call("redis", "status", env=env)
    assert stats.code == check.code == status.code == 69
    assert "cannot be reached" in complaint(stats)
    assert stats.stderr.splitlines()[0] == f"redis://***@{nobody}/0 namespace=cache env=unset"
    assert "langcache redis start" in stats.stderr.splitlines()[-1]
    assert "nothing there" in complaint(status)
    # without Redis a round trip would only repeat what is known, after the same wait
    assert [(item["name"], item["passed"]) for item in check.document["checks"]] == [("redis", False)]
    assert not check.document["passed"]
    assert "cannot be reached" in complaint(check)


def test_a_redis_that_never_answers_is_69_after_the_timeout(secured_redis, fault_proxy):
    proxy = fault_proxy(secured_redis.port)
    proxy.swallow()
    url = url_of(secured_redis).replace(str(secured_redis.port), str(proxy.port))
    ended = run_cli("stats", "--timeout=0.2", env={"REDIS_URL": url})
    assert ended.code == 69
    assert "did not answer in time" in complaint(ended)


def test_a_database_that_is_down_is_69_whatever_redis_says(nobody, secured_redis, call):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": f"postgresql://u:{HIDDEN}@{nobody}/words"}
    warm, check = run_cli("warm", env=env), call("check", env=env)
    assert warm.code == check.code == 69
    assert "the database cannot be reached" in complaint(warm)
    assert warm.stderr.splitlines()[1] == f"from postgresql://***@{nobody}/words"
    assert complaint(check) == "langcache: 1 check failed"
    assert [line.split()[:2] for line in check.stdout.splitlines()[1:3]] == [
        ["ok", "redis"],
        ["failed", "database"],
    ]
    assert "the database cannot be reached" in check.stdout


def test_a_redis_that_loads_its_data_is_75(call):
    with redis_that_says("LOADING Redis is loading the dataset in memory") as url:
        env = {"REDIS_URL": url}
        stats = run_cli("stats", env=env)
        status, warm = call("redis", "status", env=env), call("warm", "--sample", "--json", env=env)
    assert stats.code == status.code == warm.code == 75
    assert "loading" in complaint(stats)
    assert "loading" in complaint(status)
    assert warm.document["exit_code"] == 75


def test_a_wrong_redis_password_is_77(secured_redis, call):
    wrong, none = (
        call(*args, env={"REDIS_URL": url})
        for args, url in (
            (("-q", "check"), url_of(secured_redis, password=f"{SECRET}-")),
            (("stats", "--json"), url_of(secured_redis, password="")),
        )
    )
    assert wrong.code == none.code == 77
    assert "refused the user or password" in complaint(wrong)
    assert none.document["error"]["hint"] == "Check the user and the password in REDIS_URL."


def test_a_redis_user_without_the_right_is_77_and_the_command_it_lacks_is_named(
    secured_redis, three_words, call
):
    secured_redis.command(
        "ACL", "SETUSER", "reader", "on", f">{SECRET}", "~*", "+ping", "+info", "+dbsize", "+scan"
    )
    env = {"REDIS_URL": url_of(secured_redis, user="reader"), "DATABASE_URL": three_words}
    secured_redis.command("SET", "cache:vocabulary:f:1", "1")
    lines = {
        ("warm",): "evalsha",
        ("stats",): "hgetall",
        ("clear", "--all", "-y"): "unlink",
        ("-q", "check"): "set",
        ("bench",): "evalsha",
    }
    results = [call(*line, env=env) for line in lines]
    secured_redis.command("ACL", "DELUSER", "reader")
    for ended, lacks in zip(results, lines.values(), strict=True):
        assert ended.code == 77
        assert f"'{lacks}'" in complaint(ended)


def test_a_redis_user_who_may_do_all_but_ping_can_warm(secured_redis, three_words, call):
    secured_redis.command("ACL", "SETUSER", "warmer", "on", f">{SECRET}", "~*", "+@all", "-ping")
    env = {"REDIS_URL": url_of(secured_redis, user="warmer"), "DATABASE_URL": three_words}
    ended = call("warm", env=env)
    secured_redis.command("ACL", "DELUSER", "warmer")
    assert ended.code == 0
    assert len(keys_of(secured_redis, "cache:*")) == 7


def test_a_wrong_postgresql_password_is_77(locked_postgres_url, secured_redis):
    url = locked_postgres_url.format(password=quote(f"{SECRET}-", safe=""))
    ended = run_cli("warm", env={"REDIS_URL": url_of(secured_redis), "DATABASE_URL": url})
    assert ended.code == 77
    assert "the database refused the user or the password" in complaint(ended)


def test_a_postgresql_user_who_may_not_read_is_77(locked_postgres_url, postgres_server, secured_redis, call):
    postgres_server.execute(TABLE)
    url = locked_postgres_url.format(password=HIDDEN)
    ended = call("warm", env={"REDIS_URL": url_of(secured_redis), "DATABASE_URL": url})
    postgres_server.execute("DROP TABLE vocabulary_words")
    assert ended.code == 77
    assert "may not read vocabulary_words" in complaint(ended)


def test_a_database_without_the_table_is_78(postgres_url, tmp_path, secured_redis, call):
    (tmp_path / "text.db").write_text("no database at all, only text " * 10)
    empty = tmp_path / "empty.db"
    empty.touch()
    for url, says in (
        (postgres_url, "no table vocabulary_words"),
        (f"sqlite:///{empty}", "no table vocabulary_words"),
        (f"sqlite:///{tmp_path / 'text.db'}", "not a SQLite database"),
        (postgres_url + "_missing", "no such database"),
    ):
        ended = call("warm", env={"REDIS_URL": url_of(secured_redis), "DATABASE_URL": url})
        assert ended.code == 78
        assert says in complaint(ended)
    assert not keys_of(secured_redis)


def test_a_table_without_words_is_a_failed_check_1(tmp_path, secured_redis, call):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": sqlite_database(tmp_path / "empty.db", [])}
    warm = run_cli("warm", env=env)
    as_json, check, bench = (
        call(*args, env=env) for args in (("warm", "--json"), ("-q", "check"), ("bench",))
    )
    assert warm.code == as_json.code == check.code == bench.code == 1
    assert "there was nothing to warm" in complaint(warm)
    assert as_json.document["words_written"] == 0
    assert "vocabulary_words is empty" in complaint(check)
    assert "vocabulary_words is empty" in complaint(bench)


def test_a_value_that_cannot_be_cached_makes_a_warm_partial_3(tmp_path, secured_redis):
    """SQLite lets a text stand where the column says integer: what comes back would not be the same."""
    rows = [*words(3, level=None)]
    url = sqlite_database(tmp_path / "odd.db", [*rows[:2], (*rows[2][:-1], "often")])
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": url}
    ended, loud = (run_cli("warm", option, env=env) for option in ("--json", "-v"))
    assert ended.code == loud.code == 3
    assert ended.document["lines"][0]["failed"] == 1
    assert ended.document["words_written"] == 2
    assert complaint(ended) == "langcache: 2 of 6 entries were not stored"
    assert "frequency_rank" in loud.stderr
    assert len(keys_of(secured_redis, "cache:vocabulary:*")) == 4


ONE_BATCH = """
from langcache_cli.caching import cached

@cached(key_prefix="vocabulary")
async def text(number: int) -> str:
    return "long " * 4000

@text.warmer
async def texts():
    yield [{"number": number} for number in range(300)]
"""


def test_a_redis_that_fills_up_makes_a_warm_partial_3_and_says_how_many(own_redis, tmp_path, call):
    """The leases of a batch fit into memory, its values do not."""
    server = own_redis(maxmemory="3mb", policy="noeviction")
    (tmp_path / "application.py").write_text(ONE_BATCH)
    env = {"REDIS_URL": server.url, "LANGCACHE_COMPRESS_BYTES": "0"}
    ended = run_cli("warm", "--app", "application", env=env, cwd=tmp_path)
    assert ended.code == 3
    stored = sum(b"long" in server.command("GET", key) for key in keys_of(server, "cache:vocabulary:*"))
    assert 0 < stored < 300
    assert f"{300 - stored} of 300 entries were not stored" in complaint(ended)
    assert ended.stdout.splitlines()[1].split()[1:5] == ["300", str(stored), "0", str(300 - stored)]
    server.command("CONFIG", "SET", "maxmemory", "1mb")  # now there is no room for a lease either
    again = call("warm", "--sample", env=env)
    assert again.code == 69
    assert "OOM" in complaint(again)
    assert "maxmemory" in again.stderr.splitlines()[-1]


def test_a_replica_is_69_and_the_hint_names_the_primary(own_redis, three_words, call):
    server = own_redis()
    server.command("REPLICAOF", LOCALHOST, own_redis().port)
    eventually(lambda: b"master_link_status:up" in server.command("INFO", "replication"))
    ended = call("warm", env={"REDIS_URL": server.url, "DATABASE_URL": three_words})
    assert ended.code == 69
    assert "READONLY" in complaint(ended)
    assert "primary" in ended.stderr.splitlines()[-1]


def test_a_database_number_that_the_server_lacks_is_78(secured_redis, call):
    ended = call("-q", "check", env={"REDIS_URL": url_of(secured_redis, db=99)})
    assert ended.code == 78
    assert "no database of the number" in complaint(ended)
    assert "redis start" not in ended.stderr


@contextmanager
def redis_that_says(error: str) -> Iterator[str]:
    """The URL of a server that answers every command with this error."""

    class Talk(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while data := self.request.recv(65536):
                commands = sum(line.startswith(b"*") for line in data.split(b"\r\n"))
                self.request.sendall(f"-{error}\r\n".encode() * commands)

    with socketserver.ThreadingTCPServer((LOCALHOST, 0), Talk) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"redis://{LOCALHOST}:{server.server_address[1]}/0"
        server.shutdown()
        thread.join()
