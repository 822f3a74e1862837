"""Recognise and end a process that an earlier run of langcache started.

psutil tells two processes with the same pid apart by `create_time`, but only within one Python process. On
Linux that time is the boot time plus the start since boot, and the kernel's boot time moves when the clock is
set: a stored `create_time` may not match the same process later. So `birth_of` stores the start since boot
and the id of the boot instead; signals go through psutil, which checks the pid once more before each.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from pathlib import Path
from typing import Final

import psutil

from langcache_cli.servers.errors import StopFailedError

_POLL_SECONDS: Final = 0.02
_KILL_SECONDS: Final = 5.0
_STARTTIME: Final = 19  # field 22 of /proc/PID/stat, counted from the first one after the name


def birth_of(pid: int) -> str | None:
    """A mark that no other process with this pid ever has; None if the process is gone or a zombie.

    On Linux the boot id and the start in clock ticks since boot, elsewhere the creation time.
    """
    try:
        process = psutil.Process(pid)
        if process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}:
            return None
        return _ticks_of(pid) if sys.platform == "linux" else f"{process.create_time():.6f}"
    except (psutil.Error, OSError):
        return None


def is_alive(pid: int | None, birth: str | None) -> bool:
    """True if exactly this process still runs."""
    return pid is not None and birth is not None and birth_of(pid) == birth


async def terminate(pid: int, birth: str, *, grace_seconds: float) -> bool:
    """End exactly this process: SIGTERM, wait `grace_seconds`, then SIGKILL.

    Never signals another process that has the pid by now. If cancelled while waiting, it leaves the process
    as it is.

    Returns:
        True if SIGKILL was needed.

    Raises:
        StopFailedError: The process belongs to another user, or still exists seconds after SIGKILL.
    """
    if not _signal(pid, birth, kill=False) or await _gone_within(pid, birth, grace_seconds):
        return False
    if _signal(pid, birth, kill=True) and not await _gone_within(pid, birth, _KILL_SECONDS):
        raise StopFailedError(
            f"Process {pid} still exists {_KILL_SECONDS:g} seconds after SIGKILL.",
            hint="It waits for a disk or a debugger; look at it with ps.",
        )
    return True


def kill(pid: int, birth: str) -> None:
    """End exactly this process at once, without waiting for it; for one that has served no client yet."""
    with contextlib.suppress(StopFailedError):
        _signal(pid, birth, kill=True)


def _signal(pid: int, birth: str, *, kill: bool) -> bool:
    """Send the signal; False if the process is gone."""
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
    # Not psutil's `wait`: it blocks, and it counts a zombie that init has not collected as running.
    deadline = time.monotonic() + seconds
    while is_alive(pid, birth):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True


def _ticks_of(pid: int) -> str:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    # The name is in parentheses and may contain spaces and parentheses itself.
    return f"{boot}:{stat.rpartition(')')[2].split()[_STARTTIME]}"
