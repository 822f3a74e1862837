"""``langcache redis start --cluster``: a real cluster on consecutive ports, from start to stop."""

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from langcache_cli.servers import ServerSpec
from langcache_cli.servers.cluster import ClusterShape, find
from langcache_cli.servers.errors import InvalidSpecError
from tests.cli.cli_support import HIDDEN, MARK, SECRET, complaint, no_noise, program_on_path
from tests.harness.binaries import redis_cli
from tests.harness.cli import run_cli
from tests.harness.polling import eventually
from tests.harness.ports import BUS_OFFSET, LOCALHOST, bound
from tests.harness.resp import RespConnection, RespError

START = ("redis", "start", "--backend", "embedded", "--cluster", "3")
N_NODES = 6


class Ports:
    """Consecutive ports that are ours, and those of the buses, held by sockets that do not listen."""

    def __init__(self, count: int) -> None:
        self._held = ExitStack()
        while True:
            with bound(0) as any_port:
                first = any_port.getsockname()[1] % 30000 + 20000
            with ExitStack() as held, suppress(OSError):
                for number in range(first, first + count):
                    for port in (number, number + BUS_OFFSET):
                        held.enter_context(bound(port))
                self._held = held.pop_all()
                self.first = first
                return

    def release(self) -> None:
        self._held.close()


@pytest.fixture
def port() -> Iterator[int]:
    ports = Ports(N_NODES)
    yield ports.first
    ports.release()


@pytest.fixture
def local(port, state_folder) -> Iterator[dict[str, str]]:
    """An environment whose REDIS_URL names the first port. What langcache starts ends with the test."""
    yield {
        "REDIS_URL": f"redis://:{HIDDEN}@{LOCALHOST}:{port}",
        "LANGCACHE_STATE_DIR": str(state_folder),
    }
    for process in _processes(state_folder):
        process.kill()
    eventually(lambda: not _processes(state_folder))


def test_the_life_of_a_cluster(local, port, call, state_folder, tmp_path):
    where = f"{LOCALHOST}:{port}-{port + 5}"
    program_on_path(tmp_path / "programs", "redis-server", "7.2.4")
    local["PATH"] = f"{tmp_path / 'programs'}:/usr/bin:/bin"
    started = run_cli(
        *START[:2],
        "--cluster",
        "3",
        "--replicas",
        "1",
        "--maxmemory",
        "64mb",
        "--backend",
        "binary",
        env=local,
    )
    assert started.code == 0, started
    no_noise(started)
    first, second = started.stdout.splitlines()
    assert first.startswith(f"Redis Cluster started on {where} (3 primaries, 3 replicas; binary, version ")
    hosts = ",".join(f"{LOCALHOST}:{number}" for number in range(port, port + 6))
    url = f"redis+cluster://***@{hosts}/0"
    assert second == f"To use it, set REDIS_URL to {url}, with the login of your REDIS_URL in place of ***"

    rows = _say(port, "CLUSTER", "SLOTS")
    assert [(row[0], row[1]) for row in sorted(rows, key=lambda row: row[0])] == [
        (0, 5460),
        (5461, 10921),
        (10922, 16383),
    ]
    assert {len(row) for row in rows} == {4}  # each with its replica
    _say_somewhere(port, "SET", "kept", "value")

    status = call("redis", "status", env=local)
    assert status.code == 0, status
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in status.stdout.splitlines()[1:]}
    assert (rows["state"], rows["nodes"]) == ("ok", "3 primaries, 3 replicas; 6 of 6 answer")
    assert len(rows["processes"].split(", ")) == 6
    assert "uptime" in rows
    no_noise(status)
    found = call("doctor", "--json", env={**local, "REDIS_URL": url.replace("***", f":{HIDDEN}")}).document
    assert not [one["name"] for one in found["findings"] if one["name"].startswith("cluster-")]

    for again in (
        call(*START, "--replicas", "1", "--json", env=local),
        call("redis", "start", "--json", env=local),
    ):
        assert again.code == 0
        assert again.document["cluster"]["already_running"]

    if redis_cli() is not None:
        shell = run_cli("redis", "shell", env=local, stdin="SET {a} 1\nSET {b} 2\n")  # of different nodes
        assert shell.stdout.splitlines().count("OK") == 2, shell

    program_on_path(tmp_path / "programs", "valkey-server", "8.0.0")  # what a start would take now
    restarted = call("redis", "restart", "--port", str(port + 4), env=local)
    assert restarted.code == 0, restarted
    assert restarted.stdout.startswith(f"Redis Cluster on {where} was stopped.\nRedis Cluster started on ")
    assert _say_somewhere(port, "GET", "kept") == b"value"
    records = [json.loads(path.read_text()) for path in state_folder.rglob("server.json")]
    assert {Path(record["program"]).name for record in records} == {"redis-server"}
    limits = {_say(port + node, "CONFIG", "GET", "maxmemory")[1] for node in range(N_NODES)}
    assert limits == {b"67108864"}

    stopped, nothing = call("redis", "stop", env=local), call("redis", "stop", env=local)
    assert stopped.code == nothing.code == 0
    assert stopped.stdout == f"Redis Cluster on {where} was stopped.\n"
    assert nothing.stdout == f"No Redis was running on {LOCALHOST}:{port}.\n"
    assert call("redis", "status", env=local).code == 69
    assert _processes(state_folder) == []
    files = [path for path in state_folder.rglob("*") if path.is_file()]
    assert not [path for path in files if MARK.encode() in path.read_bytes()]


def test_a_cluster_whose_node_is_gone_is_said_to_fail_and_a_start_brings_the_node_back(local, port, call):
    assert call(*START, env=local).code == 0
    with pytest.raises(ConnectionError):
        _say(port + 2, "SHUTDOWN", "NOSAVE")
    status = call("redis", "status", env=local)
    assert "2 of 3 answer" in status.stdout
    eventually(lambda: call("redis", "status", env=local).code == 69, within=60.0)
    assert "fail" in complaint(call("redis", "status", env=local))
    assert call(*START, env=local).code == 0
    status = call("redis", "status", "--json", env=local)
    assert status.code == 0
    assert status.document["cluster"]["answering"] == 3
    assert call("redis", "logs", "--port", str(port + 2), "--tail", "1", env=local).code == 0


def test_other_sizes_and_single_servers_do_not_start_where_a_cluster_runs(local, port, call):
    assert call(*START, env=local).code == 0
    other = call(*START, "--replicas", "1", env=local)
    assert other.code == 69
    assert f"Port {port} is taken: a cluster of 3 primaries with 0 replicas each runs" in complaint(other)
    assert f"langcache redis stop --port {port}" in other.stderr
    wrong = {**local, "REDIS_URL": local["REDIS_URL"].replace(MARK, f"{MARK}X")}
    for line in (START, ("redis", "status")):
        assert call(*line, env=wrong).code == 77


def test_a_port_that_is_taken_is_named_and_nothing_is_started(local, port, call, state_folder):
    for taken in (port + 1, port + 1 + BUS_OFFSET):
        with bound(taken) as thief:
            thief.listen()
            ended = call(*START, env=local)
        assert ended.code == 69
        assert f"langcache: Port {taken} is taken" in ended.stderr
        no_noise(ended)
    assert _processes(state_folder) == []
    assert call(*START, env=local).code == 0


def test_a_server_that_langcache_started_is_not_made_a_node(local, port, call):
    assert call("redis", "start", "--backend", "embedded", env=local).code == 0
    ended = call(*START, env=local)
    assert ended.code == 69
    assert f"Port {port} is taken: a Redis runs at {LOCALHOST}:{port}" in complaint(ended)
    assert f"langcache redis stop --port {port}" in ended.stderr
    assert call("redis", "stop", env=local).code == 0


def test_a_start_that_takes_too_long_leaves_no_node_and_the_next_one_works(local, call, state_folder):
    ended = call(
        *START, "--wait", "0.9", env=local
    )  # the servers need two seconds to call themselves a cluster
    assert ended.code == 69
    assert "Try a longer --wait" in ended.stderr
    assert _processes(state_folder) == []
    assert call(*START, env=local).code == 0


@pytest.mark.parametrize("full_from", [2, 3, 5])
def test_a_start_on_a_disk_that_gets_full_leaves_no_node(  # noqa: PLR0917 - fixtures
    local, port, call, state_folder, monkeypatch, full_from
):
    """A node is recorded when it was launched, and again when it answers."""
    plain, records = tempfile.mkstemp, []

    def mkstemp(**options):
        records.extend([1] * options["prefix"].startswith(".server.json"))
        if len(records) >= full_from:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return plain(**options)

    monkeypatch.setattr(tempfile, "mkstemp", mkstemp)
    ended = call(*START, env=local)
    assert ended.code == 78
    assert "No space left on device" in complaint(ended)
    eventually(lambda: not _processes(state_folder))
    assert not [*state_folder.rglob("server.json"), *state_folder.rglob("cluster.json")]
    assert call("redis", "stop", env=local).stdout == f"No Redis was running on {LOCALHOST}:{port}.\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--cluster", "2"), "--cluster 2: a cluster has at least 3 primaries"),
        (("--replicas", "1"), "--replicas says how many each primary of --cluster has"),
        (("--cluster", "3", "--backend", "compose"), "not started in containers"),
    ],
)
def test_what_cannot_be_a_cluster_is_a_usage_error(local, call, options, words):
    ended = call("redis", "start", *options, env=local)
    assert ended.code == 2
    assert words in complaint(ended)


@pytest.mark.parametrize(
    ("options", "url", "words"),
    [
        (("--port", "65000"), None, "Port 65000 is too high"),
        ((), f"redis://:{HIDDEN}@{LOCALHOST}:7000/3", "only database 0"),
    ],
)
def test_a_url_or_port_that_no_cluster_can_have_is_78(local, call, options, url, words):
    ended = call(*START, *options, env={**local, "REDIS_URL": url or local["REDIS_URL"]})
    assert ended.code == 78
    assert words in complaint(ended)


def test_the_url_of_a_cluster_names_its_first_node(tmp_path):
    url = f"redis+cluster://me:{HIDDEN}@127.0.0.1:7000,127.0.0.1:7001/0"
    spec = ServerSpec.from_url(url, state_dir=tmp_path)
    assert (spec.host, spec.port, spec.username, spec.password, spec.db) == (LOCALHOST, 7000, "me", SECRET, 0)


@pytest.mark.parametrize("shape", [(7000, 2, 1), (7000, 3, -1), (55531, 3, 1)])
def test_impossible_shapes_are_refused(shape):
    port, primaries, replicas = shape
    with pytest.raises(InvalidSpecError):
        ClusterShape(port=port, primaries=primaries, replicas=replicas)


def test_a_damaged_record_is_no_cluster(tmp_path):
    record = tmp_path / "cluster-7000" / "cluster.json"
    record.parent.mkdir()
    for text in ("", "{}", "[]", '{"port": 7000, "primaries": 1, "replicas": 0}'):
        record.write_text(text)
        assert find(ServerSpec(port=7000, state_dir=tmp_path)) is None


def _say(port: int, *words: str):
    with RespConnection(port) as connection:
        connection.call("AUTH", SECRET)
        return connection.call(*words)


def _say_somewhere(port: int, *words: str):
    """Send a command to the node that owns its key."""
    try:
        return _say(port, *words)
    except RespError as moved:
        return _say(int(str(moved).rpartition(":")[2]), *words)


def _processes(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.cwd().startswith(str(folder)) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
