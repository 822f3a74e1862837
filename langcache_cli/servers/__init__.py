"""Start, find and stop a local Redis: in a container, from an installed binary, or from an embedded one.

Nothing here prints. Every call takes a `ServerSpec` and returns a frozen report or raises a `ServerError`,
whose `hint` says what to type next. A server gets its password as a hash in a private file, a container in
its environment, redis-cli in REDISCLI_AUTH; the password is never in an argument, a `repr` or an error.
"""

from __future__ import annotations

from langcache_cli.server_options import Backend
from langcache_cli.servers.errors import (
    InvalidSpecError,
    LockBusyError,
    NoLogError,
    NoServerAvailableError,
    NoShellError,
    NotAnsweringError,
    NotLocalError,
    NotOursError,
    PasswordRejectedError,
    PortInUseError,
    ServerBusyError,
    ServerError,
    StartFailedError,
    StateFolderError,
    StopFailedError,
)
from langcache_cli.servers.lifecycle import restart, start, status, status_of, stop
from langcache_cli.servers.logs import follow, log_lines
from langcache_cli.servers.probe import ProbeResult, probe
from langcache_cli.servers.reports import RestartReport, ShellCommand, StartReport, StatusReport, StopReport
from langcache_cli.servers.shell import shell_command, shell_of
from langcache_cli.servers.spec import ServerSpec
from langcache_cli.state_dir import NoStateFolderError, default_state_dir

__all__ = [
    "Backend",
    "InvalidSpecError",
    "LockBusyError",
    "NoLogError",
    "NoServerAvailableError",
    "NoShellError",
    "NoStateFolderError",
    "NotAnsweringError",
    "NotLocalError",
    "NotOursError",
    "PasswordRejectedError",
    "PortInUseError",
    "ProbeResult",
    "RestartReport",
    "ServerBusyError",
    "ServerError",
    "ServerSpec",
    "ShellCommand",
    "StartFailedError",
    "StartReport",
    "StateFolderError",
    "StatusReport",
    "StopFailedError",
    "StopReport",
    "default_state_dir",
    "follow",
    "log_lines",
    "probe",
    "restart",
    "shell_command",
    "shell_of",
    "start",
    "status",
    "status_of",
    "stop",
]
