"""A file that a command writes beside its result."""

from __future__ import annotations

import os
from dataclasses import dataclass

from langcache_cli.cli.formats.atomic_file import READABLE, AtomicFile


@dataclass(frozen=True, slots=True)
class ReportFile(AtomicFile):
    """A report that ``option`` asks for. One that exists is replaced, as reports of other tools are."""

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

    def write(self, text: str, *, mode: int = READABLE) -> None:
        """See `AtomicFile`; what cannot be replaced, such as a pipe, is written to.

        Raises:
            CommandError: It cannot be written.
        """
        if self.path.exists() and not (self.path.is_file() and os.access(self.path.parent, os.W_OK)):
            try:
                self.path.write_text(text, "utf-8")
            except OSError as error:
                raise self._error(error.strerror or str(error)) from error
        else:
            AtomicFile.write(self, text, mode=mode)
