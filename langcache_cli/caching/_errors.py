"""Everything the core raises on its own account.

One base, `CacheError`. Facts are attributes; the message says what to do next and never
holds a password. Exceptions of the functions behind the cache pass through untouched.
"""

from __future__ import annotations

import re

# how Redis 6 wraps the error of a command that a script calls; Redis 7 puts the inner code first itself
_REFUSED_IN_SCRIPT = re.compile(r"The user executing the script can't|ACL failure in script")
_EXEC_REFUSED = "EXECABORT Transaction discarded because of: NOPERM"
_ERROR_IN_SCRIPT = re.compile(r"(?:ERR Error running script.*?|@user_script: ?\d+): -([A-Z]+) ", re.DOTALL)


class CacheError(Exception):
    """Base of every error this package raises.

    Attributes:
        lost_nodes: Host and port of the nodes of a cluster that cannot be used while others can; empty if
            it is not about some nodes.
    """

    lost_nodes: tuple[str, ...] = ()


class ConfigurationError(CacheError):
    """A setting has a value that cannot work.

    Attributes:
        variable: The environment variable to change.
    """

    def __init__(self, message: str, *, variable: str) -> None:
        super().__init__(message)
        self.variable = variable


class CacheUnavailableError(CacheError):
    """Redis did not answer within the budget, refused the connection, or broke it.

    Whether a command that was under way took effect is unknown.

    Attributes:
        target: The server, without its password.
    """

    def __init__(self, reason: str, *, target: str) -> None:
        super().__init__(f"{reason} ({target})")
        self.reason = reason
        self.target = target


class SizeRefusedError(CacheUnavailableError):
    """The server does not take a value of this size.

    Attributes:
        is_new: True if this was just found out; False if the value was therefore not sent again.
    """

    def __init__(self, reason: str, *, target: str, is_new: bool = False) -> None:
        super().__init__(reason, target=target)
        self.is_new = is_new


class AuthenticationFailedError(CacheUnavailableError):
    """Redis refused the user or the password."""


class ServerLoadingError(CacheUnavailableError):
    """Redis is up but still reads its data from disk; try again in a moment."""


class ServerReplyError(CacheError):
    """Redis answered a command with an error.

    Attributes:
        code: The first word of the reply, such as ``READONLY``, ``OOM`` or ``NOPERM``; for a command inside
            a script, and for ``EXEC`` without the right to it, that of the reply within.
        user: The ACL user of the connection; known only if a right is missing.
        rights: The rights that it lacks, as words of ``ACL SETUSER``; empty if Redis does not name them.
    """

    user = ""
    rights: tuple[str, ...] = ()

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = _code(message)

    @property
    def reply(self) -> str:
        """What Redis has replied, without what ``str()`` adds."""
        return super().__str__()

    @property
    def grant(self) -> str:
        """The line that grants the missing rights; empty if they are not known."""
        return " ".join(("ACL SETUSER", self.user, *self.rights)) if self.user and self.rights else ""

    def __str__(self) -> str:
        """The reply, and the line that grants the missing rights."""
        return f"{self.reply}; grant it: {self.grant}" if self.grant else self.reply


class ConnectionLostError(ConnectionError):
    """The connection ended before the reply came. Internal: callers see a `CacheUnavailableError`.

    Attributes:
        counted: True once the breaker has counted it: one lost connection fails all its requests at once.
    """

    counted = False


class NotRedisError(ConnectionLostError):
    """What answers speaks another protocol. Internal: callers see a `CacheUnavailableError`."""


class UncacheableValueError(CacheError):
    """The value would not come back from the cache the same; nothing was stored.

    Attributes:
        details: What the value is and what it would become. The message shows types only: logs are not the
            place for the values of users.
    """

    def __init__(self, message: str, *, details: str = "") -> None:
        super().__init__(message)
        self.details = details or message


class UndecodableEntryError(CacheError):
    """The stored bytes are not a value of the expected type: an older schema, foreign or truncated data."""


class OversizedEntryError(UndecodableEntryError):
    """The stored bytes would become more than ``LANGCACHE_MAX_DECOMPRESSED_BYTES`` allows."""


class PatternError(CacheError, ValueError):
    """A key pattern could reach keys outside the namespace, or is malformed."""


class UnknownCacheTypeError(CacheError, ValueError):
    """No cache type has this name.

    Attributes:
        name: What was asked for.
        known: The names that exist.
    """

    def __init__(self, name: str, *, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown cache type {name!r}; known types: {', '.join(known)}")
        self.name = name
        self.known = known


def _code(message: str) -> str:
    if _REFUSED_IN_SCRIPT.search(message) or message.startswith(_EXEC_REFUSED):
        return "NOPERM"
    in_script = _ERROR_IN_SCRIPT.match(message)
    return in_script[1] if in_script else message.split(" ", 1)[0]


def is_interruption(error: BaseException) -> bool:
    """True for what ends a call at any point, and is no failure of its function.

    That is what is no `Exception`, as `KeyboardInterrupt`, and what Celery raises in the middle of a task
    that takes too long.
    """
    return not isinstance(error, Exception) or any(
        kind.__name__ == "SoftTimeLimitExceeded" for kind in type(error).__mro__
    )
