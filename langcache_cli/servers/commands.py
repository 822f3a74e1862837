"""Run another program: bounded in time, nothing left behind, output as text."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

TIMED_OUT: Final = -1000
NOT_RUN: Final = -1001

_LAST_OUTPUT_SECONDS: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a program ended. `code` is TIMED_OUT or NOT_RUN when it has no exit status of its own."""

    code: int
    stdout: str
    stderr: str


async def run(argv: Sequence[str], environment: Mapping[str, str], *, seconds: float) -> Ended:
    """Run to the end; after `seconds`, or when the caller is cancelled, kill it and what it started."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        return Ended(code=NOT_RUN, stdout="", stderr=f"{argv[0]}: {error.strerror}")
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    except TimeoutError:
        return Ended(code=TIMED_OUT, stdout="", stderr=f"{argv[0]}: no end within {seconds:g} seconds")
    finally:
        await end(process)
    return Ended(
        code=process.returncode or 0, stdout=out.decode(errors="replace"), stderr=err.decode(errors="replace")
    )


async def stream(argv: Sequence[str], environment: Mapping[str, str]) -> AsyncGenerator[str]:
    """The lines a program prints, until it ends or the caller closes this, which kills it."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while process.stdout and (line := await process.stdout.readline()):
            yield line.decode(errors="replace").rstrip("\r\n")
    finally:
        await end(process)


async def end(process: asyncio.subprocess.Process) -> None:
    """Kill a program of our own with its whole session, if it still runs."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # Read to the end: a pipe that nobody reads would keep the transport open. Bounded, in case a daemon
        # holds the other end.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.communicate(), _LAST_OUTPUT_SECONDS)


def tail_of(text: str, lines: int = 5) -> tuple[str, ...]:
    """The last lines that are not empty."""
    return tuple(line for line in text.splitlines() if line.strip())[-lines:]
