"""Where langcache remembers what it started: one private folder for each port.

`redis-<port>/` holds `server.json` (the record), `redis.conf`, `redis.log`, `data/` and `lock`.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import platformdirs

from langcache_cli.servers.errors import StateFolderError

_PRIVATE_FOLDER: Final = 0o700


class Backend(StrEnum):
    """A way to start a server; AUTO takes the first that works here."""

    AUTO = "auto"
    COMPOSE = "compose"
    BINARY = "binary"
    EMBEDDED = "embedded"


@dataclass(frozen=True, kw_only=True)
class ServerRecord:
    """What was started.

    `pid` and `birth` name the process, together and for good (`identity.py`); both are None for a container.
    `program` is the binary, or the compose file. `started_at` is UTC, ISO 8601.
    """

    backend: Backend
    port: int
    started_at: str
    program: str
    version: str | None = None
    pid: int | None = None
    birth: str | None = None


@dataclass(frozen=True)
class StateFolder:
    """The folder of one port. Nothing is created before `create`."""

    path: Path

    @property
    def record_file(self) -> Path:
        """The record of what runs."""
        return self.path / "server.json"

    @property
    def config_file(self) -> Path:
        """The configuration the server was started with."""
        return self.path / "redis.conf"

    @property
    def log_file(self) -> Path:
        """The server's log, and what it printed before it could open a log."""
        return self.path / "redis.log"

    @property
    def data_dir(self) -> Path:
        """The append-only file; kept when the server is stopped."""
        return self.path / "data"

    @property
    def lock_file(self) -> Path:
        """Held by whoever starts or stops the server; never deleted."""
        return self.path / "lock"

    def create(self) -> None:
        """Make the folders, readable by this user only.

        Raises:
            StateFolderError: They can't be made.
        """
        with self.usable():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for folder in (self.path, self.data_dir):
                folder.mkdir(exist_ok=True)
                folder.chmod(_PRIVATE_FOLDER)

    def load(self) -> ServerRecord | None:
        """The record, or None when there is none or it can't be read as one.

        Raises:
            StateFolderError: The folder belongs to somebody else.
        """
        try:
            facts = json.loads(self.record_file.read_bytes())
            return ServerRecord(**{**facts, "backend": Backend(facts["backend"])})
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, KeyError):
            return None
        except PermissionError as error:
            raise StateFolderError(self.path, "it belongs to another user") from error
        except OSError as error:
            raise StateFolderError(self.path, error.strerror or type(error).__name__) from error

    def save(self, record: ServerRecord) -> None:
        """Remember `record`, all of it or nothing."""
        self.write(self.record_file, json.dumps(asdict(record), indent=2) + "\n")

    def forget(self) -> None:
        """Remove the record; data and log stay."""
        with self.usable():
            self.record_file.unlink(missing_ok=True)

    def write(self, target: Path, text: str) -> None:
        """Replace a file of this folder in one step, mode 0600.

        Raises:
            StateFolderError: It can't be written.
        """
        with self.usable():
            # mkstemp creates with 0600, so there is no moment in which others could read the file.
            handle, name = tempfile.mkstemp(dir=self.path, prefix=f".{target.name}.")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                Path(name).replace(target)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise

    @contextmanager
    def usable(self) -> Iterator[None]:
        """Turn what the file system refuses into StateFolderError."""
        try:
            yield
        except OSError as error:
            raise StateFolderError(self.path, error.strerror or type(error).__name__) from error


def state_folder(state_dir: Path, port: int) -> StateFolder:
    """The folder of one port below `state_dir`."""
    return StateFolder(state_dir / f"redis-{port}")


def default_state_dir() -> Path:
    """LANGCACHE_STATE_DIR, else the place the system has for a user's state. Always absolute."""
    chosen = os.environ.get("LANGCACHE_STATE_DIR")
    folder = Path(chosen).expanduser() if chosen else platformdirs.user_state_path("langcache")
    return folder.absolute()
