"""A file that its readers find whole, whenever they look and whatever happens to the writer."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError

READABLE = 0o644


@dataclass(frozen=True, slots=True)
class AtomicFile:
    """A file that ``option`` names."""

    option: str
    path: Path

    def write(self, text: str, *, mode: int = READABLE) -> None:
        """Write beside the file, then take its place: readers find the old content or the new one.

        Args:
            text: The content.
            mode: The permissions of a new file; one that exists keeps its own.

        Raises:
            CommandError: It cannot be written. The one that was there, if any, is as before.
        """
        path = Path(os.path.realpath(self.path))  # a symbolic link stays one
        try:
            with contextlib.suppress(FileNotFoundError):
                found = path.stat().st_mode
                if not stat.S_ISREG(found):
                    raise self._error("this is no regular file")
                mode = stat.S_IMODE(found)
            self._replace(path, text, mode)
        except OSError as error:
            raise self._error(error.strerror or str(error)) from error

    def _replace(self, path: Path, text: str, mode: int) -> None:
        # no reader takes it for the file: node_exporter reads what ends in .prom
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fchmod(number, mode)
                os.fsync(number)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise

    def _error(self, reason: str) -> CommandError:
        message = f"{self.option} {self.path}: {reason}"
        return CommandError(ExitCode.BAD_CONFIGURATION, message)
