"""What the calls of this package return."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from langcache_cli.server_options import Backend
from langcache_cli.servers.probe import ProbeResult


@dataclass(frozen=True, kw_only=True)
class StartReport:
    """A server answers at the address.

    Attributes:
        already_running: True if it answered before; nothing was done then.
        ours: langcache started it, now or earlier.
        host: Its address.
        port: Its port.
        backend: What it was started with; None unless it is `ours`.
        pid: Its process; None unless it is `ours`, and for a container.
        version: Its version, if it can be asked for.
        log_file: Its log; None unless it is `ours`, and for a container.
        seconds: How long the call took.
        product: ``Redis`` or ``Valkey``.
        password_changed: The server of this data was last started with another password.
    """

    already_running: bool
    ours: bool
    host: str
    port: int
    backend: Backend | None
    pid: int | None
    version: str | None
    log_file: Path | None
    seconds: float
    product: str | None = None
    password_changed: bool = False


@dataclass(frozen=True, kw_only=True)
class StopReport:
    """No server that langcache started runs at the address.

    Attributes:
        stopped: False if none ran before.
        forced: It did not end within the grace period and was killed.
        host: The address.
        port: The port.
        backend: What it was started with; None if none ran.
        pid: The process that was stopped; None for a container or if none ran.
        seconds: How long the call took.
    """

    stopped: bool
    forced: bool
    host: str
    port: int
    backend: Backend | None
    pid: int | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class RestartReport:
    """What was stopped and what was started."""

    stop: StopReport
    start: StartReport


@dataclass(frozen=True, kw_only=True)
class StatusReport:
    """The state of the server at an address.

    `version` and the numbers are None unless the server answers; the rest is None unless it is `ours`.
    """

    result: ProbeResult
    ours: bool
    host: str
    port: int
    backend: Backend | None
    pid: int | None
    started_at: str | None
    version: str | None
    uptime_seconds: int | None
    used_memory_bytes: int | None
    maxmemory_bytes: int | None
    log_file: Path | None
    product: str | None = None


@dataclass(frozen=True, kw_only=True)
class ShellCommand:
    """A redis-cli to run. `env` is the whole environment; it holds the password and is not in ``repr``."""

    argv: tuple[str, ...]
    env: dict[str, str] = field(repr=False)
