"""Start server processes that are gone when the test process is, whether it ends, crashes or is killed."""

import atexit
import os
import pwd
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from tests.harness import tether

_running: set[subprocess.Popen[bytes]] = set()
_lock = threading.Lock()


def spawn(
    program: Sequence[str],
    *,
    log: Path,
    death_signal: signal.Signals = signal.SIGKILL,
    user: pwd.struct_passwd | None = None,
    cwd: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """Start `program` (absolute path first), both outputs appended to `log`. `end` it when done.

    Its own session: Ctrl-C in the terminal stops pytest, which closes its servers, instead of the servers
    first.
    """
    uid, gid = (user.pw_uid, user.pw_gid) if user else (tether.NO_CHANGE, tether.NO_CHANGE)
    numbers = map(str, (os.getpid(), int(death_signal), uid, gid))
    command = [sys.executable, "-I", "-S", tether.__file__, *numbers, *program]
    with log.open("ab") as output:
        process = (
            _spawner()
            .submit(
                subprocess.Popen,
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=plain_environment(),
                cwd=cwd,
                start_new_session=True,
            )
            .result()
        )
    with _lock:
        _running.add(process)
    return process


def end(
    process: "subprocess.Popen[bytes]", how: signal.Signals = signal.SIGKILL, *, within: float = 10.0
) -> None:
    """Send `how` and wait; after `within` seconds SIGKILL and TimeoutError. Fine if it has ended."""
    process.send_signal(how)
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise TimeoutError(f"{process.args} did not end within {within:g} s of {how.name}") from None
    finally:
        with _lock:
            _running.discard(process)


def plain_environment() -> dict[str, str]:
    """The environment without what would change a server's messages or a PostgreSQL client's target."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}


@cache
def _spawner() -> ThreadPoolExecutor:
    """The one thread that forks, for the life of this process.

    To the kernel the *thread* is the parent: a server started from a short-lived thread (`asyncio.to_thread`)
    would get its death signal when that thread ends.
    """
    atexit.register(_end_all)
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="server-spawner")


def _end_all() -> None:
    for process in list(_running):
        end(process)
