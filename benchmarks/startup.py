"""How long the command takes to start, beside the imports that it cannot do without."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from benchmarks.rounds import Measured, in_turns

HEAVY = "import redis.asyncio, pydantic_settings, typer, rich.table"


def _seconds(command: list[str], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(
        command, env=environment, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return (time.perf_counter() - started) * 1e3


async def startup(url: str, rounds: int) -> tuple[dict[str, Measured], dict[str, Measured]]:
    """Milliseconds: help and version beside ``import typer``; check and stats beside what they import."""
    environment = {**os.environ, "REDIS_URL": url}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    langcache = [str(Path(sys.executable).with_name("langcache"))]

    async def run(command: list[str]) -> float:
        return await asyncio.to_thread(_seconds, command, environment)

    light = {
        "import typer": [sys.executable, "-c", "import typer"],
        "langcache --help": [*langcache, "--help"],
        "langcache --version": [*langcache, "--version"],
    }
    heavy = {
        HEAVY: [sys.executable, "-c", HEAVY],
        "langcache check": [*langcache, "check"],
        "langcache stats": [*langcache, "stats"],
    }
    for command in (*light.values(), *heavy.values()):  # compiles what is not compiled yet, as pip does
        await run(command)
    return (
        await in_turns({name: partial(run, command) for name, command in light.items()}, rounds=rounds),
        await in_turns({name: partial(run, command) for name, command in heavy.items()}, rounds=rounds),
    )
