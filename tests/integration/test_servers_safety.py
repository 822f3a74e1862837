"""What must never happen: a foreign process stopped, a password shown, a server left by a failed start."""

import asyncio
import json
import socket
import subprocess
import sys
import traceback
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from langcache_cli.servers import (
    Backend,
    LockBusyError,
    NotAnsweringError,
    NotOursError,
    PasswordRejectedError,
    PortInUseError,
    ProbeResult,
    ServerError,
    ShellCommand,
    StartFailedError,
    StateFolderError,
    log_lines,
    probe,
    restart,
    shell_command,
    start,
    status,
    stop,
)
from langcache_cli.servers.identity import birth_of
from langcache_cli.servers.state import StateFolder
from tests.harness.polling import aeventually, eventually
from tests.integration.servers_support import SECRET, LocalServers, client, listening, real_server

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

HOLD_THE_LOCK = """
import asyncio, pathlib
from langcache_cli.servers.state import StateFolder

async def hold():
    async with StateFolder(pathlib.Path({path!r})).locked(wait_seconds=1):
        print("held", flush=True)
        await asyncio.Event().wait()

asyncio.run(hold())
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


@contextmanager
def holding_the_lock_of(folder: StateFolder) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the lock until it is killed."""
    script = HOLD_THE_LOCK.format(path=str(folder.path))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.kill()


def output_of(command: ShellCommand) -> str:
    return subprocess.run(command.argv, env=command.env, capture_output=True, text=True, check=True).stdout


def shown(error: BaseException) -> str:
    """All that a command can show of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + getattr(error, "hint", "")


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


async def test_a_running_server_needs_no_writable_folder(local, foreign):
    (local.folder / "file").write_text("in the way", encoding="utf-8")

    report = await start(replace(foreign, state_dir=local.folder / "file" / "state"))

    assert report.already_running is True


async def test_a_start_that_finds_the_lock_held_gives_up_in_time(local):
    folder = local.spec().folder
    async with folder.locked(wait_seconds=1):
        with pytest.raises(LockBusyError):
            await start(local.spec(), wait_seconds=0.2)


async def test_the_lock_file_is_private_and_stays(local):
    folder = local.spec().folder
    async with folder.locked(wait_seconds=1):
        inode = folder.lock_file.stat().st_ino
        assert folder.lock_file.stat().st_mode & 0o777 == 0o600

    async with folder.locked(wait_seconds=1):
        assert folder.lock_file.stat().st_ino == inode


async def cancelled_after(began: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_wait_for_the_lock_does_not_take_it_later(local):
    folder = local.spec().folder
    began = asyncio.Event()

    async def wait() -> None:
        began.set()
        async with folder.locked(wait_seconds=60):
            pytest.fail("cancelled, and yet it holds the lock")

    async with folder.locked(wait_seconds=1):
        await cancelled_after(began, wait())
    async with folder.locked(wait_seconds=0):
        pass


async def test_a_start_that_is_cancelled_while_it_holds_the_lock_releases_it(local):
    folder = local.spec().folder
    holds = asyncio.Event()

    async def hold() -> None:
        async with folder.locked(wait_seconds=1):
            holds.set()
            await asyncio.Event().wait()

    await cancelled_after(holds, hold())
    async with folder.locked(wait_seconds=0):
        pass


async def test_the_lock_of_a_process_that_was_killed_is_free(local):
    folder = local.spec().folder
    with holding_the_lock_of(folder) as holder:
        with pytest.raises(LockBusyError):
            async with folder.locked(wait_seconds=0):
                pass
        holder.kill()

    async with folder.locked(wait_seconds=0):
        pass


async def test_start_waits_for_a_redis_that_is_loading(local):
    replies = iter([b"-LOADING later\r\n"] * 3)

    async def redis(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"PING\r\n"):
            writer.write(next(replies, b"+PONG\r\n"))
            await writer.drain()

    async with listening(redis) as port:
        report = await start(local.spec(port=port, password=None), wait_seconds=5)

    assert (report.already_running, report.version) == (True, None)


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


async def test_an_unavailable_backend_that_was_asked_for_is_not_replaced_by_another(local):
    with pytest.raises(ServerError, match="binary: no valkey-server or redis-server on PATH"):
        await start(local.spec(), backend=Backend.BINARY)


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
