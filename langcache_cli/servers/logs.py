"""Read a server's log: its last lines, or each line as it is written."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from langcache_cli.servers.compose import compose_of
from langcache_cli.servers.errors import NoLogError
from langcache_cli.servers.spec import ServerSpec

_POLL_SECONDS: Final = 0.2


async def log_lines(spec: ServerSpec, tail: int = 100) -> list[str]:
    """The last `tail` lines of the server langcache started last on this port, running or not.

    A container's log can be read until langcache stops the container. The password is masked.

    Raises:
        NoLogError: langcache has started nothing on this port.
    """
    if compose := await compose_of(spec.folder.load()):
        return await compose.log_lines(spec, tail=tail)
    with spec.folder.usable(), GrowingFile(_log_file(spec)) as file:
        return [spec.mask(line) for line in file.last(tail)]


async def follow(spec: ServerSpec, tail: int = 10) -> AsyncGenerator[str]:
    """The last `tail` lines, then each new one until the caller stops. Continues with the log of a restart.

    Raises:
        NoLogError: langcache has started nothing on this port.
    """
    compose = await compose_of(spec.folder.load())
    lines = compose.follow(spec, tail=tail) if compose else _follow_file(_log_file(spec), tail)
    async with aclosing(lines):
        async for line in lines:
            yield spec.mask(line)


class GrowingFile:
    """A file that another process appends to, and that a restart of that process replaces.

    Returns whole lines only: an unfinished line is returned once its end is written. Opening the file raises
    OSError if it does not exist; a replacement that does not exist yet is waited for.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BufferedReader = path.open("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def last(self, count: int) -> list[str]:
        """The last `count` lines of the file; `new` continues after them."""
        return [_text(line) for line in deque(self._whole_lines(), maxlen=count)]

    def new(self) -> list[str]:
        """The lines written since the last call; if there are none, those of a file that replaced it."""
        lines = self._whole_lines()
        if not lines and self._reopened():
            lines = self._whole_lines()
        return [_text(line) for line in lines]

    def _whole_lines(self) -> list[bytes]:
        start = self._file.tell()
        text = self._file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._file.seek(start + len(whole))
        return whole.splitlines()

    def _reopened(self) -> bool:
        try:
            on_disk, opened = self._path.stat(), os.fstat(self._file.fileno())
            if os.path.samestat(on_disk, opened) and on_disk.st_size >= self._file.tell():
                return False
            replacement = self._path.open("rb")
        except FileNotFoundError:
            return False
        self._file.close()
        self._file = replacement
        return True


async def _follow_file(path: Path, tail: int) -> AsyncGenerator[str]:
    with GrowingFile(path) as file:
        lines = file.last(tail)
        while True:
            for line in lines:
                yield line
            lines = file.new()
            if not lines:
                await asyncio.sleep(_POLL_SECONDS)


def _log_file(spec: ServerSpec) -> Path:
    file = spec.folder.log_file
    if not file.is_file():
        raise NoLogError(
            f"There is no log: langcache has not started a server on port {spec.port}.",
            hint="Start one: langcache redis start",
        )
    return file


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")
