"""One start or stop at a time for each port, across processes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from langcache_cli.servers.errors import LockBusyError
from langcache_cli.servers.state import StateFolder

_RETRY_SECONDS: Final = 0.05


@asynccontextmanager
async def exclusive(folder: StateFolder, *, wait_seconds: float) -> AsyncIterator[None]:
    """Hold the folder's lock. The system lets go of it when the process ends, however it ends.

    Raises:
        LockBusyError: Somebody else held it for `wait_seconds`.
        StateFolderError: The lock file can't be opened.
    """
    folder.create()
    with folder.usable():
        handle = os.open(folder.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        await _acquire(handle, folder, time.monotonic() + wait_seconds)
        yield
    finally:
        os.close(handle)


async def _acquire(handle: int, folder: StateFolder, deadline: float) -> None:
    # Polled, not blocking in a thread: a thread in flock can't be cancelled and would take the lock later.
    while not _try(handle, folder):
        if time.monotonic() > deadline:
            raise LockBusyError(
                f"Another langcache is starting or stopping the server in {folder.path}.",
                hint="Wait for it to finish and run the command again.",
            )
        await asyncio.sleep(_RETRY_SECONDS)


def _try(handle: int, folder: StateFolder) -> bool:
    with folder.usable():
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
