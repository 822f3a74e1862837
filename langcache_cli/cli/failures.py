"""Turn an exception into an exit code, one clear line, and a hint what to type next."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Final

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.redis_failures import cause_of, cause_of_code


@dataclass(frozen=True, slots=True)
class Failure:
    """How an error is shown.

    Attributes:
        code: The exit code.
        message: One sentence, without secrets.
        hint: What to type next; empty if the message says it.
    """

    code: ExitCode
    message: str
    hint: str = ""


class CommandError(Exception):
    """Ends the command with the given exit code.

    Attributes:
        failure: The exit code, the message and the hint.
    """

    def __init__(self, code: ExitCode, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.failure = Failure(code, message, hint)


OUTCOMES: Final[dict[str, tuple[ExitCode, str]]] = {
    # langcache_cli.caching
    "AuthenticationFailedError": (ExitCode.NO_PERMISSION, "Check the user and the password in REDIS_URL."),
    "ServerLoadingError": (ExitCode.TRY_LATER, "Try again in a moment."),
    "CacheUnavailableError": (
        ExitCode.UNREACHABLE,
        "Start a local one with 'langcache redis start', or set REDIS_URL.",
    ),
    "ConfigurationError": (ExitCode.BAD_CONFIGURATION, ""),
    "PatternError": (ExitCode.USAGE, ""),
    "UnknownCacheTypeError": (ExitCode.USAGE, "See 'langcache types'."),
    # langcache_cli.vocabulary
    "DatabaseAuthenticationError": (ExitCode.NO_PERMISSION, "Check the login in DATABASE_URL."),
    "DatabaseUnavailableError": (
        ExitCode.UNREACHABLE,
        "Check DATABASE_URL and that the database server runs, or use --sample.",
    ),
    "DatabaseConfigurationError": (ExitCode.BAD_CONFIGURATION, "Check DATABASE_URL, or use --sample."),
    # langcache_cli.servers; each has a hint, or says it all
    "NoStateFolderError": (ExitCode.BAD_CONFIGURATION, ""),
    "PasswordRejectedError": (ExitCode.NO_PERMISSION, ""),
    "NotOursError": (ExitCode.REFUSED, ""),
    "ServerBusyError": (ExitCode.TRY_LATER, ""),
    "LockBusyError": (ExitCode.TRY_LATER, ""),
    "InvalidSpecError": (ExitCode.BAD_CONFIGURATION, ""),
    "NotLocalError": (ExitCode.BAD_CONFIGURATION, ""),
    "StateFolderError": (ExitCode.BAD_CONFIGURATION, ""),
    "ServerError": (ExitCode.UNREACHABLE, ""),
}
"""Exit code and hint for each class of error; a subclass that is not listed is shown as its base.

By name, because an import made to classify an error could itself fail. An attribute `hint` of the error
replaces the hint given here.
"""


_CANNOT_WRITE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def explain(error: BaseException) -> Failure:
    """How to show an error that a command did not handle itself. Imports nothing and raises nothing."""
    if isinstance(error, CommandError):
        return error.failure
    if isinstance(error, KeyboardInterrupt):
        return Failure(ExitCode.INTERRUPTED, "interrupted")
    failure = _of_reply(error) or _of_connection(error) or _of_slow_server(error) or _of_own_error(error)
    if failure is not None:
        return failure
    if isinstance(error, OSError) and error.filename is not None:
        return Failure(ExitCode.BAD_CONFIGURATION, f"{error.filename}: {error.strerror}")
    if isinstance(error, OSError) and error.errno in _CANNOT_WRITE:  # help and version, which typer prints
        return Failure(ExitCode.BAD_CONFIGURATION, f"the output cannot be written: {error.strerror}")
    message = f"{type(error).__name__}: {_text(error)}"
    return Failure(ExitCode.BUG, message, "This is a bug. Run it again with --debug and report it.")


def _of_reply(error: BaseException) -> Failure | None:
    """The failure if Redis refused a command, or if such a refusal is the cause of the error."""
    reply = error if "ServerReplyError" in _own_kinds(error) else error.__cause__
    if reply is None or "ServerReplyError" not in _own_kinds(reply):
        return None
    cause = cause_of_code(reply)
    if cause is not None:
        text = getattr(reply, "reply", "") or _text(reply)
        return Failure(cause.outcome, f"Redis refused a command: {text}", cause.hint)
    if reply is error:
        return Failure(ExitCode.UNREACHABLE, f"Redis refused a command: {_text(reply)}")
    return None


def _of_connection(error: BaseException) -> Failure | None:
    """The failure if what stood between the command and Redis is known."""
    if "CacheUnavailableError" not in _own_kinds(error) or (cause := cause_of(error)) is None:
        return None
    target = getattr(error, "target", "")
    return Failure(
        cause.outcome, f"{cause.message} ({target})" if cause.message else _text(error), cause.hint
    )


def _of_slow_server(error: BaseException) -> Failure | None:
    if "NotAnsweringError" in _own_kinds(error) and getattr(error, "still_loading", False):
        return Failure(ExitCode.TRY_LATER, _text(error), getattr(error, "hint", ""))
    return None


def _of_own_error(error: BaseException) -> Failure | None:
    for kind in _own_kinds(error):
        if kind in OUTCOMES:
            code, hint = OUTCOMES[kind]
            return Failure(code, _text(error), getattr(error, "hint", hint))
    return None


def _own_kinds(error: BaseException) -> list[str]:
    """The names of its class and base classes, most specific first, of those that langcache defines."""
    return [kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith("langcache_cli.")]


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an application's exception, for `warm --app`, may fail here
        return "(its message cannot be shown)"
