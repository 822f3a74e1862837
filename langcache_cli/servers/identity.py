"""Is this process still the one we started? A pid alone does not say: pids are used again."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Final

import psutil

from langcache_cli.servers.errors import StopFailedError

_POLL_SECONDS: Final = 0.02
_KILL_SECONDS: Final = 5.0
_STARTTIME: Final = 19  # field 22 of /proc/PID/stat, counted from the one behind the name


def birth_of(pid: int) -> str | None:
    """A mark no other process with this pid has or will have; None if there is none or it is dead (a zombie).

    On Linux the boot's id and the start in clock ticks since boot, which no change of the clock can shift.
    Elsewhere the creation time.
    """
    return _birth_on_linux(pid) if sys.platform == "linux" else _birth_elsewhere(pid)


def is_alive(pid: int | None, birth: str | None) -> bool:
    """Does exactly this process still run?"""
    return pid is not None and birth is not None and birth_of(pid) == birth


async def terminate(pid: int, birth: str, *, grace_seconds: float) -> bool:
    """End exactly this process: SIGTERM, wait `grace_seconds`, then SIGKILL. True when it took SIGKILL.

    Never signals another process that got the pid. Cancelled while it waits, it leaves the process as it is.

    Raises:
        StopFailedError: The process belongs to another user, or is still there seconds after SIGKILL.
    """
    if not _signal(pid, birth, kill=False) or await _gone_within(pid, birth, grace_seconds):
        return False
    if _signal(pid, birth, kill=True) and not await _gone_within(pid, birth, _KILL_SECONDS):
        raise StopFailedError(
            f"Process {pid} is still there {_KILL_SECONDS:g} seconds after SIGKILL.",
            hint="It waits for a disk or a debugger; look at it with ps.",
        )
    return True


def _signal(pid: int, birth: str, *, kill: bool) -> bool:
    """False when the process is gone. psutil looks once more itself, right before it signals."""
    try:
        process = psutil.Process(pid)
        if not is_alive(pid, birth):
            return False
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied as error:
        raise StopFailedError(
            f"Process {pid} belongs to another user.",
            hint="Run the command again as the user who started it.",
        ) from error
    return True


async def _gone_within(pid: int, birth: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_alive(pid, birth):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True


def _birth_on_linux(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    # The name stands in parentheses and may hold some itself.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{boot}:{fields[_STARTTIME]}"


def _birth_elsewhere(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.6f}"
    except psutil.Error:
        return None
