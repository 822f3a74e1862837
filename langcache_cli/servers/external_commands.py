"""Run another program with a time limit, leave nothing of it behind, return its output as text."""

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
    """How a program ended. `code` is TIMED_OUT or NOT_RUN if it has no exit status of its own."""

    code: int
    stdout: str
    stderr: str


async def run(argv: Sequence[str], environment: Mapping[str, str], *, seconds: float) -> Ended:
    """Run a program to its end.

    After `seconds`, or if the caller is cancelled, the program and all it started are killed.
    """
    try:
        process = await _started(argv, environment, stderr=asyncio.subprocess.PIPE)
    except OSError as error:
        return Ended(code=NOT_RUN, stdout="", stderr=f"{argv[0]}: {error.strerror}")
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    except TimeoutError:
        return Ended(code=TIMED_OUT, stdout="", stderr=f"{argv[0]} did not end within {seconds:g} s")
    finally:
        await _kill(process)
    return Ended(
        code=process.returncode or 0, stdout=out.decode(errors="replace"), stderr=err.decode(errors="replace")
    )


async def stream(argv: Sequence[str], environment: Mapping[str, str]) -> AsyncGenerator[str]:
    """The lines a program prints, until it ends; closing the generator kills it.

    Raises:
        OSError: It cannot be run.
    """
    process = await _started(argv, environment, stderr=asyncio.subprocess.DEVNULL)
    try:
        while process.stdout and (line := await process.stdout.readline()):
            yield line.decode(errors="replace").rstrip("\r\n")
    finally:
        await _kill(process)


def tail_of(text: str, lines: int = 5) -> tuple[str, ...]:
    """The last lines that are not empty."""
    return tuple(line for line in text.splitlines() if line.strip())[-lines:]


async def _started(
    argv: Sequence[str], environment: Mapping[str, str], *, stderr: int
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *argv,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,  # so that one signal reaches all it started
    )


async def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill a program with its whole session, if it still runs."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # Read to the end: an unread pipe keeps the transport open. Bounded, because a daemon that left the
        # session may hold the other end.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.communicate(), _LAST_OUTPUT_SECONDS)
