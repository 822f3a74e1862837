"""Read a server's log, once or as it grows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Final

from langcache_cli.servers.commands import run, stream
from langcache_cli.servers.compose import SERVICE, Compose, environment, find_compose
from langcache_cli.servers.errors import NoLogError
from langcache_cli.servers.growing import GrowingFile
from langcache_cli.servers.spec import ServerSpec
from langcache_cli.servers.state import Backend, StateFolder, state_folder

_POLL_SECONDS: Final = 0.2
_LOG_SECONDS: Final = 10.0


async def log_lines(spec: ServerSpec, tail: int = 100) -> list[str]:
    """The last `tail` lines of the server langcache started last on this port, running or not.

    A container's log can be read until it is stopped. The password is masked, should it ever be in there.

    Raises:
        NoLogError: langcache has started nothing on this port.
    """
    folder = state_folder(spec.state_dir, spec.port)
    if compose := await _compose_of(folder):
        return await container_log(compose, spec, tail=tail)
    with folder.usable(), GrowingFile(_log_of(folder, spec)) as file:
        return [spec.mask(line) for line in file.last(tail)]


async def follow(spec: ServerSpec, tail: int = 10) -> AsyncGenerator[str]:
    """The last `tail` lines, then each new one, until the caller stops; a restart's new log is followed too.

    Raises:
        NoLogError: langcache has started nothing on this port.
    """
    folder = state_folder(spec.state_dir, spec.port)
    compose = await _compose_of(folder)
    lines = _follow_container(compose, spec, tail) if compose else _follow_file(_log_of(folder, spec), tail)
    async with aclosing(lines):
        async for line in lines:
            yield spec.mask(line)


async def container_log(compose: Compose, spec: ServerSpec, *, tail: int) -> list[str]:
    """The last lines of the container; what compose says instead if there is none."""
    ended = await run(_logs(compose, spec, tail), environment(spec), seconds=_LOG_SECONDS)
    return [spec.mask(line) for line in (ended.stdout or ended.stderr).splitlines()]


def _follow_container(compose: Compose, spec: ServerSpec, tail: int) -> AsyncGenerator[str]:
    return stream(_logs(compose, spec, tail, "--follow"), environment(spec))


def _logs(compose: Compose, spec: ServerSpec, tail: int, *options: str) -> list[str]:
    return compose.argv(spec, "logs", "--no-color", "--no-log-prefix", "--tail", str(tail), *options, SERVICE)


async def _follow_file(path: Path, tail: int) -> AsyncGenerator[str]:
    with GrowingFile(path) as file:
        lines = file.last(tail)
        while True:
            for line in lines:
                yield line
            lines = file.new()
            if not lines:
                await asyncio.sleep(_POLL_SECONDS)


async def _compose_of(folder: StateFolder) -> Compose | None:
    record = folder.load()
    return await find_compose() if record and record.backend is Backend.COMPOSE else None


def _log_of(folder: StateFolder, spec: ServerSpec) -> Path:
    if not folder.log_file.is_file():
        raise NoLogError(
            f"There is no log: langcache has not started a server on port {spec.port}.",
            hint="Start one: langcache redis start",
        )
    return folder.log_file
