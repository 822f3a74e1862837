"""What langcache records about a server it started: one private folder for each port.

`redis-<port>/` holds `server.json` (the record), `last_start.json`, `redis.conf`, `redis.log`, `data/` and
`lock`.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from langcache_cli.server_options import Backend
from langcache_cli.servers import identity
from langcache_cli.servers.errors import LockBusyError, StateFolderError

_PRIVATE_FOLDER: Final = 0o700
_PRIVATE_FILE: Final = 0o600
_LOCK_RETRY_SECONDS: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class ServerRecord:
    """A server that langcache started.

    Attributes:
        backend: What it was started with.
        port: Its port.
        started_at: UTC, ISO 8601.
        program: The binary, or the compose file.
        version: The server's version, if known.
        pid: The process; None for a container.
        birth: Distinguishes the process from a later one with the same pid, see `identity.birth_of`.
    """

    backend: Backend
    port: int
    started_at: str
    program: str
    version: str | None = None
    pid: int | None = None
    birth: str | None = None

    def may_run(self) -> bool:
        """True if the recorded process is alive, and always for a container.

        Only the engine knows the state of a container, and stopping one twice is harmless.
        """
        return self.backend is Backend.COMPOSE or identity.is_alive(self.pid, self.birth)


@dataclass(frozen=True)
class StateFolder:
    """The folder of one port. `create` makes it; nothing else does."""

    path: Path

    @property
    def record_file(self) -> Path:
        """The record of the running server."""
        return self.path / "server.json"

    @property
    def last_start_file(self) -> Path:
        """How the server was last started; see `LastStart`."""
        return self.path / "last_start.json"

    @property
    def config_file(self) -> Path:
        """The configuration the server was started with."""
        return self.path / "redis.conf"

    @property
    def log_file(self) -> Path:
        """The server's log, including its output from before it opens the log itself."""
        return self.path / "redis.log"

    @property
    def data_dir(self) -> Path:
        """The append-only file; kept when the server is stopped."""
        return self.path / "data"

    @property
    def lock_file(self) -> Path:
        """Locked during a start or stop; never deleted."""
        return self.path / "lock"

    def create(self) -> None:
        """Make the folders, accessible to this user only.

        Raises:
            StateFolderError: They cannot be made.
        """
        with self.usable():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for folder in (self.path, self.data_dir):
                folder.mkdir(exist_ok=True)
                folder.chmod(_PRIVATE_FOLDER)

    def load(self) -> ServerRecord | None:
        """The record, or None if there is none or it is not valid.

        Raises:
            StateFolderError: The folder belongs to another user or cannot be read.
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

    def load_running(self) -> ServerRecord | None:
        """The record, if its server may run; None also if the folder cannot be read."""
        try:
            record = self.load()
        except StateFolderError:
            return None
        return record if record and record.may_run() else None

    def save(self, record: ServerRecord) -> None:
        """Write the record in one step.

        Raises:
            StateFolderError: It cannot be written.
        """
        self.write(self.record_file, json.dumps(asdict(record), indent=2) + "\n")

    def forget(self) -> None:
        """Remove the record; data and log stay."""
        with self.usable():
            self.record_file.unlink(missing_ok=True)

    def write(self, target: Path, text: str) -> None:
        """Replace a file of this folder in one step, mode 0600.

        Raises:
            StateFolderError: It cannot be written.
        """
        with self.usable():
            # mkstemp creates the file with mode 0600; other users can read it at no point.
            handle, name = tempfile.mkstemp(dir=self.path, prefix=f".{target.name}.")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                Path(name).replace(target)
            except BaseException:  # an interruption, too: the temporary file holds a password
                Path(name).unlink(missing_ok=True)
                raise

    @asynccontextmanager
    async def locked(self, *, wait_seconds: float) -> AsyncIterator[None]:
        """Hold the folder's lock, across processes. The kernel releases it when the process ends.

        Raises:
            LockBusyError: Another process or task held it for `wait_seconds`.
            StateFolderError: The lock file cannot be opened.
        """
        # Imported here: it takes 8 ms, and a server that already runs is found without the lock.
        from filelock import FileLock, Timeout  # noqa: PLC0415

        self.create()
        lock = FileLock(self.lock_file, mode=_PRIVATE_FILE)
        deadline = time.monotonic() + wait_seconds
        # Polled here because the wait of `acquire` would block the event loop and could not be cancelled.
        while True:
            with self.usable(), suppress(Timeout):
                lock.acquire(blocking=False)
                break
            if time.monotonic() > deadline:
                raise LockBusyError(
                    f"Another langcache is starting or stopping the server in {self.path}.",
                    hint="Wait for it to finish and run the command again.",
                )
            await asyncio.sleep(_LOCK_RETRY_SECONDS)
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def usable(self) -> Iterator[None]:
        """Turn every OSError into a StateFolderError."""
        try:
            yield
        except OSError as error:
            raise StateFolderError(self.path, error.strerror or type(error).__name__) from error
