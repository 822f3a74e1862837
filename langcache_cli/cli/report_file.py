"""A file that a command writes beside its result."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A report that ``option`` asks for. One that exists is replaced, as reports of other tools are."""

    option: str
    path: Path

    def require_place(self) -> None:
        """Fail before the work, rather than after it, if the file cannot be written.

        Raises:
            CommandError: The folder is missing, or the permission, or the path is a folder.
        """
        folder = self.path.parent
        written = self.path if self.path.exists() else folder
        if not folder.is_dir():
            raise self._error(f"there is no folder {folder}")
        if self.path.is_dir():
            raise self._error("this is a folder")
        if not os.access(written, os.W_OK):
            raise self._error(f"{written} cannot be written")

    def write(self, text: str) -> None:
        """Write the file.

        Raises:
            CommandError: It cannot be written.
        """
        try:
            self.path.write_text(text, "utf-8")
        except OSError as error:
            raise self._error(error.strerror or str(error)) from error

    def _error(self, reason: str) -> CommandError:
        message = f"{self.option} {self.path}: {reason}"
        return CommandError(ExitCode.BAD_CONFIGURATION, message)
