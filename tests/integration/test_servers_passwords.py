"""Servers with a password: any works, and none is shown in an argument, a file, an error or the shell."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from langcache_cli.servers import (
    ProbeResult,
    ServerError,
    ShellCommand,
    log_lines,
    probe,
    restart,
    shell_command,
    start,
    stop,
)
from tests.integration.servers_support import SECRET, LocalServers, client, listening, shown


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServers]:
    with LocalServers(tmp_path, monkeypatch) as local:
        yield local


def output_of(command: ShellCommand) -> str:
    return subprocess.run(command.argv, env=command.env, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "password",
    [
        "with space",
        "quo\"te's",
        "a#b",
        "back\\slash",
        "pässwörd-Ω-🔑",
        "new\nline",
        "$HOME `id` $(id)",
        "\t%20+/:@?",
    ],
)
async def test_any_password_works(local, password):
    spec = local.spec(password=password)

    await start(spec)

    async with client(spec) as redis:
        assert await redis.ping()
    assert await probe(local.spec(password="no")) is ProbeResult.WRONG_PASSWORD
    assert await probe(local.spec(password=None)) is ProbeResult.WRONG_PASSWORD


async def test_a_named_user_gets_in_and_the_default_user_is_off(local):
    spec = local.spec(username="warm:er")

    await start(spec)

    async with client(spec) as redis:
        assert await redis.acl_whoami() == "warm:er"
    assert await probe(local.spec()) is ProbeResult.WRONG_PASSWORD


async def test_a_url_without_password_gives_a_server_without(local):
    await start(local.spec(password=None))

    assert await probe(local.spec(password=None)) is ProbeResult.ANSWERING
    assert await probe(local.spec()) is ProbeResult.NO_PASSWORD


async def test_the_password_is_in_no_argument_no_environment_and_no_file(local, monkeypatch):
    monkeypatch.setenv("REDIS_URL", f"redis://:{SECRET}@localhost:6379/0")
    monkeypatch.setenv("REDISCLI_AUTH", SECRET)
    report = await start(local.spec())

    server = psutil.Process(report.pid)
    assert SECRET not in " ".join(server.cmdline())
    assert SECRET not in str(server.environ())
    for path in local.files():
        assert SECRET.encode() not in path.read_bytes(), path
    assert SECRET not in repr(local.spec())
    assert SECRET not in repr(report)


async def test_state_and_data_are_for_this_user_only(local):
    report = await start(local.spec())

    folder = report.log_file.parent
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in local.files():
        assert path.stat().st_mode & 0o077 == 0, path


async def test_the_shell_gets_the_password_by_environment_only(local, monkeypatch):
    local.program("redis-cli", 'printf "%s|" "$@" "$REDISCLI_AUTH"')
    monkeypatch.setenv("REDISCLI_AUTH", "of another server")

    command = await shell_command(local.spec(username="ops", db=3))

    assert output_of(command) == f"-h|127.0.0.1|-p|{local.port}|-n|3|--user|ops|{SECRET}|"
    assert SECRET not in repr(command)
    assert "REDISCLI_AUTH" not in (await shell_command(local.spec(password=None))).env


@pytest.mark.parametrize("call", [start, stop, restart, log_lines])
async def test_no_error_shows_the_password(local, call):
    """The most talkative case: the port is taken by something that sends back all it gets."""

    async def parrot(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"-ERR " + (await reader.read(1000)).replace(b"\r\n", b" ") + b"\r\n")

    async with listening(parrot) as port:
        spec = local.spec(port=port)
        options = {"wait_seconds": 0.1} if call in {start, restart} else {}
        with pytest.raises(ServerError) as caught:
            await call(spec, **options)

    assert SECRET not in shown(caught.value)
