"""One start or stop at a time: the lock of the state folder, whatever becomes of who holds it or waits."""

import asyncio
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from langcache_cli.servers import LockBusyError, start
from langcache_cli.servers.state import StateFolder
from tests.integration.servers_support import LocalServers

HOLD_THE_LOCK = """
import asyncio, pathlib
from langcache_cli.servers.state import StateFolder

async def hold():
    async with StateFolder(pathlib.Path({path!r})).locked(wait_seconds=1):
        print("held", flush=True)
        await asyncio.Event().wait()

asyncio.run(hold())
"""


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServers]:
    with LocalServers(tmp_path, monkeypatch) as local:
        yield local


@contextmanager
def holding_the_lock_of(folder: StateFolder) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the lock until it is killed."""
    script = HOLD_THE_LOCK.format(path=str(folder.path))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.kill()


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
