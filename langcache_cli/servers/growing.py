"""Read a file that another process appends to, and that a restart replaces."""

from __future__ import annotations

import os
from collections import deque
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Self


class GrowingFile:
    """Whole lines only: what has no line end yet is returned once it has one.

    Raises OSError when the file can't be opened at first; a replacement that is not there yet is waited for.
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
        """The last `count` lines there are; `new` goes on behind them."""
        return [_text(line) for line in deque(self._whole_lines(), maxlen=count)]

    def new(self) -> list[str]:
        """The lines since the last call; those of a file that took this one's place come after them."""
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
            there, mine = self._path.stat(), os.fstat(self._file.fileno())
            if os.path.samestat(there, mine) and there.st_size >= self._file.tell():
                return False
            fresh = self._path.open("rb")
        except FileNotFoundError:
            return False
        self._file.close()
        self._file = fresh
        return True


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")
