"""From an exception to an exit code, a clear line, and what to type next."""

from __future__ import annotations

from dataclasses import dataclass

from langcache_cli.cli.exit_codes import ExitCode


@dataclass(frozen=True, slots=True)
class Failure:
    """How an error is shown.

    Attributes:
        code: How the command ends.
        message: One sentence, without secrets.
        hint: What to type next; empty if the message says it.
    """

    code: ExitCode
    message: str
    hint: str = ""


class CommandError(Exception):
    """A command ends with a code of its own choice.

    Attributes:
        failure: How.
        reported: The result has been printed; with ``--json`` no second document may follow it.
    """

    def __init__(self, code: ExitCode, message: str, hint: str = "", *, reported: bool = False) -> None:
        super().__init__(message)
        self.failure = Failure(code, message, hint)
        self.reported = reported


START_REDIS = "Start a local one with 'langcache redis start', or set REDIS_URL."
CHECK_REDIS_LOGIN = "Check the user and the password in REDIS_URL."
CHECK_DATABASE = "Check DATABASE_URL and that the database server runs, or use --sample."


def explain(error: BaseException) -> Failure:
    """How to show an error that a command did not handle itself."""
    if isinstance(error, CommandError):
        return error.failure
    if isinstance(error, KeyboardInterrupt):
        return Failure(ExitCode.INTERRUPTED, "interrupted")
    # Imported here: an error in the arguments needs none of it.
    failure = _of_cache(error) or _of_database(error) or _of_server(error)
    if failure is not None:
        return failure
    if isinstance(error, OSError) and error.filename is not None:
        return Failure(ExitCode.BAD_CONFIGURATION, f"{error.filename}: {error.strerror}")
    name = type(error).__name__
    return Failure(
        ExitCode.BUG, f"{name}: {error}", "This is a bug. Run it again with --debug and report it."
    )


def _of_cache(error: BaseException) -> Failure | None:
    from langcache_cli import caching  # noqa: PLC0415 - see explain

    kinds: list[tuple[type[BaseException], ExitCode, str]] = [
        (caching.AuthenticationFailedError, ExitCode.NO_PERMISSION, CHECK_REDIS_LOGIN),
        (caching.ServerLoadingError, ExitCode.TRY_LATER, "Try again in a moment."),
        (caching.CacheUnavailableError, ExitCode.UNREACHABLE, START_REDIS),
        (caching.ConfigurationError, ExitCode.BAD_CONFIGURATION, ""),
        (caching.PatternError, ExitCode.USAGE, ""),
        (caching.UnknownCacheTypeError, ExitCode.USAGE, "See 'langcache types'."),
    ]
    reply = error if isinstance(error, caching.ServerReplyError) else error.__cause__
    if isinstance(reply, caching.ServerReplyError) and reply.code in _REPLIES:
        code = ExitCode.NO_PERMISSION if reply.code == "NOPERM" else ExitCode.UNREACHABLE
        return Failure(code, f"Redis refused a command: {reply}", _REPLIES[reply.code])
    if isinstance(error, caching.ServerReplyError):
        return Failure(ExitCode.UNREACHABLE, f"Redis refused a command: {error}")
    return _first(error, kinds)


_REPLIES = {
    "NOPERM": "Name another user in REDIS_URL, or grant this one the command with ACL SETUSER.",
    "READONLY": "REDIS_URL names a replica; set it to the primary.",
    "OOM": "Redis is full and evicts nothing; set maxmemory-policy allkeys-lru, or raise maxmemory.",
}


def _of_database(error: BaseException) -> Failure | None:
    from langcache_cli import vocabulary  # noqa: PLC0415 - see explain

    return _first(
        error,
        [
            (
                vocabulary.DatabaseAuthenticationError,
                ExitCode.NO_PERMISSION,
                "Check the login in DATABASE_URL.",
            ),
            (vocabulary.DatabaseUnavailableError, ExitCode.UNREACHABLE, CHECK_DATABASE),
            (
                vocabulary.DatabaseConfigurationError,
                ExitCode.BAD_CONFIGURATION,
                "Check DATABASE_URL, or use --sample.",
            ),
        ],
    )


def _of_server(error: BaseException) -> Failure | None:
    from langcache_cli import servers  # noqa: PLC0415 - see explain

    if not isinstance(error, servers.ServerError):
        return None
    kinds: list[tuple[type[BaseException], ExitCode, str]] = [
        (servers.PasswordRejectedError, ExitCode.NO_PERMISSION, error.hint),
        (servers.NotAnsweringError, _of_slow_server(error), error.hint),
        (servers.NotOursError, ExitCode.REFUSED, error.hint),
        (servers.LockBusyError, ExitCode.TRY_LATER, error.hint),
        (servers.InvalidSpecError, ExitCode.BAD_CONFIGURATION, error.hint),
        (servers.NotLocalError, ExitCode.BAD_CONFIGURATION, error.hint),
        (servers.StateFolderError, ExitCode.BAD_CONFIGURATION, error.hint),
        (servers.ServerError, ExitCode.UNREACHABLE, error.hint),
    ]
    return _first(error, kinds)


def _of_slow_server(error: BaseException) -> ExitCode:
    return ExitCode.TRY_LATER if getattr(error, "still_loading", False) else ExitCode.UNREACHABLE


def _first(error: BaseException, kinds: list[tuple[type[BaseException], ExitCode, str]]) -> Failure | None:
    for kind, code, hint in kinds:
        if isinstance(error, kind):
            return Failure(code, str(error), hint)
    return None
