"""What a Redis that cannot be used says, or what stood between it and the command: exit code, message, hint.

By the names of classes and by words of messages: explaining an error imports nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from langcache_cli.cli.exit_codes import ExitCode


@dataclass(frozen=True, slots=True)
class _Cause:
    """How one cause is shown.

    Attributes:
        outcome: The exit code.
        hint: What to type next.
        message: In place of the error's own message; empty to keep that.
    """

    outcome: ExitCode
    hint: str
    message: str = ""


_CLUSTER: Final = _Cause(
    ExitCode.BAD_CONFIGURATION,
    "REDIS_URL names a node of a cluster; begin it with redis+cluster:// instead.",
)
_NO_PASSWORD: Final = _Cause(
    ExitCode.NO_PERMISSION,
    "Leave the password out of REDIS_URL, or give that server one.",
    "Redis has no password, but REDIS_URL names one",
)

REPLIES: Final[dict[str, _Cause]] = {
    "NOPERM": _Cause(
        ExitCode.NO_PERMISSION,
        "Name another user in REDIS_URL, or grant this one the command with ACL SETUSER.",
    ),
    "DENIED": _Cause(
        ExitCode.NO_PERMISSION, "Give that server a password (requirepass), and put it into REDIS_URL."
    ),
    "READONLY": _Cause(ExitCode.UNREACHABLE, "REDIS_URL names a replica; set it to the primary."),
    "OOM": _Cause(
        ExitCode.UNREACHABLE,
        "Redis is full and evicts nothing; set maxmemory-policy allkeys-lru, or raise maxmemory.",
    ),
    "MISCONF": _Cause(
        ExitCode.UNREACHABLE,
        "That server cannot write to its disk and takes no changes meanwhile; its log says why.",
    ),
    "NOREPLICAS": _Cause(
        ExitCode.UNREACHABLE, "That server wants replicas before it takes changes (min-replicas-to-write)."
    ),
    "BUSY": _Cause(
        ExitCode.TRY_LATER, "A script occupies that server; wait, or end it with SCRIPT KILL in redis-cli."
    ),
    "MASTERDOWN": _Cause(
        ExitCode.TRY_LATER, "REDIS_URL names a replica that has lost its primary; set it to a primary."
    ),
    "CLUSTERDOWN": _CLUSTER,
    "MOVED": _CLUSTER,
    "ASK": _CLUSTER,
}
"""By the first word of the reply."""

_WORDS: Final[dict[str, _Cause]] = {
    "DB index is out of range": _Cause(
        ExitCode.BAD_CONFIGURATION,
        "Choose a lower number at the end of REDIS_URL, or raise 'databases' in that server's redis.conf.",
        "Redis has no database of the number in REDIS_URL",
    ),
    "SELECT is not allowed in cluster mode": _CLUSTER,
    "one Redis answers there": _Cause(
        ExitCode.BAD_CONFIGURATION, "Begin REDIS_URL with redis:// (with TLS rediss://)."
    ),
    "without any password": _NO_PASSWORD,
    "no password is set": _NO_PASSWORD,
    "max number of clients reached": _Cause(
        ExitCode.TRY_LATER, "Too many clients are connected; close some, or raise maxclients of that server."
    ),
}
"""By words of a reply whose first word is ERR."""

_TLS: Final = _Cause(
    ExitCode.BAD_CONFIGURATION, "Does that port speak TLS? Without it, REDIS_URL begins with redis://."
)
_CLASSES: Final[dict[str, _Cause]] = {
    "SSLCertVerificationError": _Cause(
        ExitCode.BAD_CONFIGURATION,
        "Name the file of the authority that signed it in REDIS_URL: ...?ssl_ca_certs=FILE.",
    ),
    "TlsFileError": _Cause(
        ExitCode.BAD_CONFIGURATION, "Check ssl_ca_certs, ssl_certfile and ssl_keyfile in REDIS_URL."
    ),
    "SSLError": _TLS,
    "NotRedisError": _Cause(
        ExitCode.UNREACHABLE,
        "Set REDIS_URL to the address of a Redis; 'langcache redis start --port 6380' starts one beside it.",
    ),
    "gaierror": _Cause(ExitCode.UNREACHABLE, "Check the host name in REDIS_URL, and the name server."),
    "TimeoutError": _Cause(
        ExitCode.UNREACHABLE, "Check REDIS_URL and that server, or wait longer with --timeout SECONDS."
    ),
}
"""By the class of the error that the connection ended with."""

_SILENT_TLS: Final = _Cause(
    ExitCode.UNREACHABLE, "Does that port speak TLS? Without it, REDIS_URL begins with redis://."
)
_OTHER_NAME: Final = _Cause(
    ExitCode.BAD_CONFIGURATION,
    "Use the name that the certificate has in REDIS_URL, or add ?ssl_check_hostname=false.",
)
_EXPIRED: Final = _Cause(ExitCode.BAD_CONFIGURATION, "Renew the certificate of that server.")
_NO_CLIENT_CERTIFICATE: Final = _Cause(
    ExitCode.UNREACHABLE,
    "If that server wants a client certificate, add ssl_certfile=FILE&ssl_keyfile=FILE to REDIS_URL.",
)
_PLAIN: Final = _Cause(ExitCode.UNREACHABLE, "If that port speaks TLS, REDIS_URL begins with rediss://.")
_TLS_WORDS: Final = {
    "certificate has expired": _EXPIRED,
    "certificate is not yet valid": _Cause(
        ExitCode.BAD_CONFIGURATION, "Compare the clocks of both machines, or renew that certificate."
    ),
    "certificate required": _NO_CLIENT_CERTIFICATE,
    "Hostname mismatch": _OTHER_NAME,
    "IP address mismatch": _OTHER_NAME,
}
"""By words of OpenSSL's message, where the class does not say enough."""

_ENDED: Final = ("closed the connection", "Connection reset by peer")
"""What a connection ends with that the server did not like, before it has answered anything."""

_CLUSTER_DOWN: Final = _Cause(
    ExitCode.UNREACHABLE,
    "A node of the cluster is away, or slots have none; redis-cli --cluster check shows which.",
)
_LOST_NODE: Final = _Cause(
    ExitCode.UNREACHABLE, "Start that node again; 'langcache doctor' says how each of them is."
)
LOCAL: Final = ("localhost:", "127.", "[::1]:")
_ELSEWHERE: Final = _Cause(ExitCode.UNREACHABLE, "Check REDIS_URL, and that its server runs.")
_LOCAL_CLUSTER: Final = _Cause(
    ExitCode.UNREACHABLE,
    "Start a local one with 'langcache redis start --cluster 3', or set REDIS_URL.",
)
_NO_SOCKET: Final = _Cause(ExitCode.UNREACHABLE, "Check the path in REDIS_URL, and that its server runs.")


def cause_of(error: BaseException) -> _Cause | None:
    """How to show that a server cannot be used; None if its own message and the usual hint say it."""
    target = str(getattr(error, "target", ""))
    has_lost_nodes = bool(getattr(error, "lost_nodes", ()))
    if "the cluster is down" in str(error):
        return _CLUSTER_DOWN
    for behind in _chain(error):
        if cause := _of_one(behind, target):
            return _LOST_NODE if has_lost_nodes and cause is _CLASSES["TimeoutError"] else cause
    if has_lost_nodes:
        return _LOST_NODE
    scheme, _, rest = target.partition("://")
    address = rest.removeprefix("***@")
    if address and not address.startswith(LOCAL):
        return _ELSEWHERE
    return _LOCAL_CLUSTER if scheme == "redis+cluster" else None


def _of_one(error: BaseException, target: str) -> _Cause | None:
    """The same by one of the errors behind an error."""
    text, kinds = str(error), {kind.__name__ for kind in type(error).__mro__}
    has_tls = target.startswith("rediss")
    if cause := next((cause for words, cause in _TLS_WORDS.items() if words in text), None):
        return cause
    if "ServerReplyError" in kinds:
        return _of_reply(error)
    if "ConnectionLostError" in kinds and any(words in text for words in _ENDED):
        return _NO_CLIENT_CERTIFICATE if has_tls else _PLAIN
    if has_tls and "TimeoutError" in kinds:
        return _SILENT_TLS
    if target.startswith("unix:") and kinds & {"FileNotFoundError", "PermissionError"}:
        return _NO_SOCKET
    return next((_CLASSES[kind] for kind in _CLASSES if kind in kinds), None)


def _of_reply(reply: BaseException) -> _Cause | None:
    text = str(reply)
    return cause_of_code(reply) or next((cause for words, cause in _WORDS.items() if words in text), None)


def cause_of_code(reply: BaseException) -> _Cause | None:
    """How to show an error reply by its first word; for a missing right, the line that grants it."""
    cause, grant = REPLIES.get(str(getattr(reply, "code", ""))), getattr(reply, "grant", "")
    if cause is None or not grant:
        return cause
    return replace(cause, hint=f"Grant it, or name another user in REDIS_URL: {grant}")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from."""
    found: BaseException | None = error
    for _ in range(5):
        if found is None:
            return
        yield found
        found = found.__cause__
