"""What langcache did not start is never stopped, and what listens at the address is named."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from langcache_cli.servers import (
    NotOursError,
    PasswordRejectedError,
    PortInUseError,
    ProbeResult,
    probe,
    restart,
    start,
    status,
    stop,
)
from langcache_cli.servers.identity import birth_of
from tests.harness.polling import aeventually, eventually
from tests.integration.servers_support import SECRET, LocalServers, listening, shown


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServers]:
    with LocalServers(tmp_path, monkeypatch) as local:
        yield local


@pytest.fixture
def bystander(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that langcache did not start."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, cwd="/") as process:
        # what is started next must not have begun in the same tick of the clock
        eventually(lambda: birth_of_a_new_process() != birth_of(process.pid))
        yield process
        process.kill()


def birth_of_a_new_process() -> str | None:
    with subprocess.Popen([sys.executable, "--version"], stdout=subprocess.DEVNULL) as process:
        return birth_of(process.pid)


@pytest.fixture
def foreign(own_redis, local):
    """A server that langcache did not start, with a password, and the spec to reach it."""
    server = own_redis(password=SECRET)
    return local.spec(port=server.port)


async def test_a_server_of_another_program_is_used_but_never_stopped(local, foreign):
    report = await start(foreign)
    assert (report.already_running, report.ours, report.backend) == (True, False, None)

    for attempt in (stop, restart):
        with pytest.raises(NotOursError):
            await attempt(foreign)

    assert await probe(foreign) is ProbeResult.ANSWERING


async def test_a_stale_record_does_not_make_a_foreign_server_ours(local, foreign):
    await start(local.spec())
    await stop(local.spec())
    folder = foreign.folder
    folder.create()
    started = await start(local.spec())
    record = local.spec().folder.load()
    psutil.Process(started.pid).kill()
    await aeventually(lambda: not local.running())
    folder.save(replace(record, port=foreign.port))

    with pytest.raises(NotOursError):
        await stop(foreign)
    assert (await status(foreign)).ours is False


async def test_a_pid_that_was_used_again_is_never_signalled(local, bystander):
    spec = local.spec()
    await start(spec)
    folder = spec.folder
    record = folder.load()
    await stop(spec)
    folder.save(replace(record, pid=bystander.pid))

    assert (await status(spec)).ours is False
    assert (await stop(spec)).stopped is False
    folder.save(replace(record, pid=bystander.pid))
    assert (await start(spec)).already_running is False
    assert (await stop(spec)).stopped is True

    assert bystander.poll() is None


@pytest.mark.parametrize(
    "record", ["", "{", "[]", "null", '{"backend": "windmill"}', '{"backend": "binary"}', "\xff"]
)
async def test_a_record_that_cannot_be_read_is_no_record(local, record):
    folder = local.spec().folder
    folder.create()
    folder.record_file.write_text(record, encoding="latin-1")

    assert (await stop(local.spec())).stopped is False
    assert (await start(local.spec())).already_running is False
    assert json.loads(folder.record_file.read_text(encoding="utf-8"))["port"] == local.port


async def test_a_wrong_password_is_said_and_no_second_server_started(local, foreign):
    wrong = replace(foreign, password="Zq9other")
    with pytest.raises(PasswordRejectedError) as caught:
        await start(wrong)

    assert "Put that server's password into REDIS_URL" in caught.value.hint
    assert SECRET not in shown(caught.value)
    assert "Zq9other" not in shown(caught.value)
    assert local.running() == []


async def test_an_own_server_with_another_password_points_to_restart(local):
    await start(local.spec())

    with pytest.raises(PasswordRejectedError) as caught:
        await start(local.spec(password="changed"))

    assert "langcache redis restart" in caught.value.hint


async def test_a_silent_listener_on_the_port_is_named(local):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        spec = local.spec(port=listener.getsockname()[1])
        with pytest.raises(PortInUseError, match="accepts connections and does not answer") as caught:
            await start(spec)

    assert caught.value.port == spec.port
    assert SECRET not in shown(caught.value)


async def test_something_else_than_redis_on_the_port_is_named(local):
    async def web_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with listening(web_server) as port:
        spec = local.spec(port=port)
        with pytest.raises(PortInUseError, match="is not Redis"):
            await start(spec)
        with pytest.raises(NotOursError):
            await stop(spec)


async def test_a_running_server_needs_no_writable_folder(local, foreign):
    (local.folder / "file").write_text("in the way", encoding="utf-8")

    report = await start(replace(foreign, state_dir=local.folder / "file" / "state"))

    assert report.already_running is True
