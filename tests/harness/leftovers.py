"""Every process a test run starts must have ended with it: find those that have not, end them, name them.

Children are found as such. A server that made itself a daemon is nobody's child any more, so every process
of the run inherits a mark in its environment and is found by that.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import suppress

import psutil

MARK = "LANGCACHE_TEST_RUN"
GRACE_SECONDS = 1.0  # for what is ending already
# multiprocessing keeps these for the whole interpreter, whatever a test does
KEPT_BY_PYTHON = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


def mark_this_run() -> None:
    """Let all processes started from now on be recognised as this process' own."""
    os.environ[MARK] = uuid.uuid4().hex


def end_leftovers() -> list[str]:
    """Kill what this run started and still runs; one line for each that had to be killed."""
    started = set(psutil.Process().children(recursive=True)) | set(_marked())
    _, left = psutil.wait_procs([process for process in started if _counts(process)], GRACE_SECONDS)
    lines = []
    for process in left:
        with suppress(psutil.NoSuchProcess):
            lines.append(f"pid {process.pid}: {_command(process)}")
            process.kill()
    return lines


def _marked() -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == os.environ[MARK]:
                yield process


def _counts(process: psutil.Process) -> bool:
    try:
        is_zombie = process.status() == psutil.STATUS_ZOMBIE
        return not is_zombie and not any(name in _command(process) for name in KEPT_BY_PYTHON)
    except psutil.NoSuchProcess:
        return False


def _command(process: psutil.Process) -> str:
    return " ".join(process.cmdline()) or process.name()
