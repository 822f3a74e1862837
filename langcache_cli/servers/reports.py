"""What the calls of this package report."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from langcache_cli.servers.probe import ProbeResult
from langcache_cli.servers.state import Backend


@dataclass(frozen=True, kw_only=True)
class StartReport:
    """The server answers now.

    `already_running`: it did so before, and nothing was done. `ours`: langcache started it, now or earlier;
    only then `backend` is known, `pid` unless it is a container, and `log_file` likewise.
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


@dataclass(frozen=True, kw_only=True)
class StopReport:
    """Nothing that langcache started runs there now.

    `stopped` is False when nothing ran to begin with. `forced`: it did not end in good time and was killed.
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
    """How it stands.

    `version` and the numbers are None unless the server answers, the rest unless it is `ours`.
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


@dataclass(frozen=True, kw_only=True)
class ShellCommand:
    """A redis-cli to run. `env` is a whole environment and holds the password, hence not in `repr`."""

    argv: tuple[str, ...]
    env: dict[str, str] = field(repr=False)
