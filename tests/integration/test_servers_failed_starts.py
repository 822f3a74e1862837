"""A start that fails, is cancelled or comes too late leaves no server behind, and says why."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

import langcache_cli.servers.starting
from langcache_cli.servers import (
    Backend,
    NotAnsweringError,
    NotOursError,
    ProbeResult,
    ServerError,
    StartFailedError,
    StateFolderError,
    probe,
    start,
    status,
    stop,
)
from langcache_cli.servers.state import StateFolder
from tests.harness.polling import aeventually
from tests.integration.servers_support import SECRET, LocalServers, listening, real_server, shown

# A server that never gets ready, as one with a huge append-only file.
LOADS_FOR_EVER = """
import re, socket, sys
port = int(re.search(r'"port" "(\\d+)"', open(sys.argv[1]).read())[1])
listener = socket.create_server(("127.0.0.1", port))
while True:
    connection, _ = listener.accept()
    connection.recv(1000)
    connection.sendall(b"-LOADING Redis is loading the dataset in memory\\r\\n")
    connection.close()
"""


# Ends as a server does that finds its port taken, when another one has been faster.
IS_TOO_LATE = """
import socket, subprocess
subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL)
while socket.socket().connect_ex(("127.0.0.1", int(words[2]))):
    pass
sys.exit(1)
"""


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServers]:
    with LocalServers(tmp_path, monkeypatch) as local:
        yield local


async def test_a_program_that_dies_at_once_shows_its_last_line(local):
    local.program("redis-server", f'echo "no luck with {SECRET} today" >&2; exit 3')

    with pytest.raises(StartFailedError) as caught:
        await start(local.spec())

    assert caught.value.log_lines[-1] == "no luck with *** today"
    assert SECRET not in shown(caught.value)
    assert await status(local.spec()) == replace(await status(local.spec()), ours=False, pid=None)


async def test_a_program_of_another_system_is_no_traceback(local):
    (local.programs / "redis-server").write_bytes(b"\x7fELFnot really")
    (local.programs / "redis-server").chmod(0o755)

    with pytest.raises(StartFailedError):
        await start(local.spec())


async def test_a_server_that_does_not_answer_in_time_is_stopped_again(local):
    local.program("redis-server", '[ "$1" = --version ] && exit; echo thinking; exec /bin/sleep 60')

    with pytest.raises(NotAnsweringError) as caught:
        await start(local.spec(), wait_seconds=1.0)

    assert caught.value.still_loading is False
    assert "thinking" in caught.value.log_lines
    assert local.running() == []
    assert (await stop(local.spec())).stopped is False


async def test_a_server_that_still_loads_its_data_is_left_running_and_can_be_stopped(local):
    local.python_server(LOADS_FOR_EVER)

    with pytest.raises(NotAnsweringError) as caught:
        await start(local.spec(), wait_seconds=3.0)

    assert caught.value.still_loading is True
    assert (await status(local.spec())).result is ProbeResult.LOADING
    assert (await stop(local.spec())).stopped is True
    assert local.running() == []


async def test_a_cancelled_start_leaves_nothing_running(local):
    local.python_server("import time\ntime.sleep(60)")  # it never answers
    folder = local.spec().folder
    starting = asyncio.create_task(start(local.spec()))
    await aeventually(folder.load)

    starting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await starting
    assert local.running() == []
    assert folder.load() is None


async def test_losing_the_port_to_another_good_server_is_success_but_not_ours(local):
    """Two users' langcache share no lock; the one whose server could not bind finds the other's."""
    words = [str(real_server()), "--port", str(local.port), "--user", "default", "on"]
    local.python_server(f"words = {[*words, local.spec().password_rule, '~*', '&*', '+@all']}\n{IS_TOO_LATE}")

    report = await start(local.spec())

    assert (report.already_running, report.ours) == (True, False)
    with pytest.raises(NotOursError):
        await stop(local.spec())


async def test_a_folder_that_cannot_be_made_is_named(local, monkeypatch):
    (local.folder / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("LANGCACHE_STATE_DIR", str(local.folder / "file" / "state"))

    with pytest.raises(StateFolderError, match="Not a directory") as caught:
        await start(local.spec())

    assert "LANGCACHE_STATE_DIR" in caught.value.hint
    assert (await stop(local.spec())).stopped is False
    assert (await status(local.spec())).result is ProbeResult.NOTHING


async def test_start_waits_for_a_redis_that_is_loading(local):
    replies = iter([b"-LOADING later\r\n"] * 3)

    async def redis(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"PING\r\n"):
            writer.write(next(replies, b"+PONG\r\n"))
            await writer.drain()

    async with listening(redis) as port:
        report = await start(local.spec(port=port, password=None), wait_seconds=5)

    assert (report.already_running, report.version) == (True, None)


async def test_an_unavailable_backend_that_was_asked_for_is_not_replaced_by_another(local):
    with pytest.raises(ServerError, match="binary: no valkey-server or redis-server on PATH"):
        await start(local.spec(), backend=Backend.BINARY)


async def test_a_start_that_is_cancelled_while_it_undoes_itself_leaves_nothing_either(local, monkeypatch):
    """The server does not end at SIGTERM, so that undoing the start takes a while."""
    loop, pids = asyncio.get_running_loop(), []

    def full(folder, record):
        if pids:
            psutil.Process(record.pid).suspend()
            loop.call_soon(starting.cancel)
            raise StateFolderError(folder.path, "No space left on device")
        pids.append(record.pid)
        plain(folder, record)

    plain = StateFolder.save
    monkeypatch.setattr(StateFolder, "save", full)
    monkeypatch.setattr(langcache_cli.servers.starting, "_TERMINATE_SECONDS", 0.05)
    starting = asyncio.create_task(start(local.spec()))
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert local.running() == []
    assert not local.spec().folder.record_file.exists()


@pytest.mark.parametrize("save", [1, 2])
async def test_a_start_that_cannot_record_its_server_leaves_none_behind(local, monkeypatch, save):
    """As on a full disk: the first record is written before the server answers, the second afterwards."""
    saved = []

    def full(folder, record):
        saved.append(record)
        if len(saved) == save:
            raise StateFolderError(folder.path, "No space left on device")
        plain(folder, record)

    plain = StateFolder.save
    monkeypatch.setattr(StateFolder, "save", full)
    with pytest.raises(StateFolderError, match="No space left"):
        await start(local.spec())
    await aeventually(lambda: not psutil.pid_exists(saved[-1].pid))
    assert await probe(local.spec()) is ProbeResult.NOTHING
    assert not (await stop(local.spec())).stopped
