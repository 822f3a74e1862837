"""Findings about a server that cannot be used at all: each cause has a name of its own."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from langcache_cli.caching import AuthenticationFailedError, ServerReplyError
from langcache_cli.caching.tooling import ConnectionLostError, NotRedisError, RedisAddress, TlsFileError
from langcache_cli.operations.diagnosis.finding import Finding
from langcache_cli.operations.diagnosis.redis_cli import redis_cli
from langcache_cli.operations.diagnosis.server_facts import ServerFacts

NO_ANSWER: Final = "The cache cannot be used: every call runs its function."


@dataclass(frozen=True, slots=True)
class _Cause:
    """A cause.

    Attributes:
        name: Of the finding.
        found: The sentence, with ``{what}`` (a name and a place), ``{name}``, ``{where}`` and ``{host}``;
            empty for that of the error.
        command: What to send with ``redis-cli``; empty if the explanation of the error says what to do.
    """

    name: str
    found: str = ""
    command: str = ""


_UNKNOWN: Final = _Cause("unreachable")
_NO_PASSWORD: Final = _Cause("password-not-set", "REDIS_URL has a password, and {what} has none")
_NO_DISK: Final = "{what} cannot write to its disk, and so refuses to store values"
_REPLIES: Final = {
    "LOADING": _Cause("loading", "{what} is loading its data and answers soon", "INFO persistence"),
    "BUSY": _Cause("busy", "a script occupies {what}", "SCRIPT KILL"),
    "MISCONF": _Cause("disk-error", _NO_DISK, "CONFIG SET stop-writes-on-bgsave-error no"),
    "DENIED": _Cause("protected-mode", "{what} has no password, and takes clients of its own machine only"),
    "MASTERDOWN": _Cause("replica", "{what} is a replica that has lost its primary"),
    "NOAUTH": _Cause("login-missing", "{what} asks for a password, and REDIS_URL has none"),
    "WRONGPASS": _Cause("login-refused", "{what} refused the user or password"),
}
"""By the first word of the reply."""

_WORDS: Final = {
    "DB index is out of range": _Cause(
        "database-number", "{what} has no database of the number in REDIS_URL"
    ),
    "max number of clients reached": _Cause("clients-full", "{what} takes no more clients"),
    "writing to the AOF file": _Cause("disk-error", _NO_DISK, "CONFIG SET appendonly no"),
    "without any password": _NO_PASSWORD,
    "no password is set": _NO_PASSWORD,
}
"""By words of a reply, where its first word does not say enough."""

_OTHER_HOST: Final = _Cause(
    "certificate-other-host", "the certificate of {what} is not one for the name {host}"
)
_AUTHORITY: Final = _Cause(
    "certificate-unknown-authority", "nothing here knows the authority that signed the certificate of {what}"
)
_CERTIFICATE: Final = {
    "certificate has expired": _Cause("certificate-expired", "the certificate of {what} has expired"),
    "certificate is not yet valid": _Cause(
        "certificate-not-yet-valid", "the certificate of {what} is not valid yet"
    ),
    "Hostname mismatch": _OTHER_HOST,
    "IP address mismatch": _OTHER_HOST,
}
"""By words of OpenSSL's message; all others are about the authority."""


_CLIENT_CERTIFICATE: Final = _Cause(
    "client-certificate-wanted", "{what} ends connections after the TLS handshake"
)
_CLASSES: Final[dict[type[BaseException], _Cause]] = {
    TlsFileError: _Cause("tls-file"),
    ConnectionRefusedError: _Cause(
        "connection-refused", "nothing listens at {where}, where {name} should be"
    ),
    socket.gaierror: _Cause("host-unknown", "the host {host} in REDIS_URL has no address"),
    TimeoutError: _Cause("no-answer", "{what} did not answer in time"),
    AuthenticationFailedError: _Cause("login-refused"),
}
"""By the class of an error."""


def unreachable(server: ServerFacts, what: str = "Redis", why: str = NO_ANSWER) -> Iterator[Finding]:
    """The server does not answer, or refuses the login.

    Args:
        server: Was asked.
        what: What it is, at the start of the sentence.
        why: What that means for the cache.
    """
    if server.error is None:
        return
    cause = _cause_of(server)
    place = what if server.where in what else f"{what} at {server.where}"
    found = cause.found.format(what=place, name=what, where=server.where, host=server.address.host)
    if not found:
        found = f"{what} {getattr(server.error, 'reason', str(server.error)).removeprefix('Redis ')}"
    yield Finding(cause.name, "error", found, why, _mend(cause, server), (server.where,), server.error)


def _cause_of(server: ServerFacts) -> _Cause:
    if server.speaks_tls is not None:
        return (
            _Cause("tls-missing-in-url", "{where} speaks TLS, and REDIS_URL does not")
            if server.speaks_tls
            else _Cause("tls-only-in-url", "REDIS_URL asks for TLS, and {where} speaks none")
        )
    behind = server.error.__cause__ if server.error is not None else None
    for error in (behind, behind and behind.__cause__, server.error):  # the first says most
        if error is not None and (cause := _of_error(error, server.address)):
            return cause
    return _UNKNOWN


def _of_error(error: BaseException, address: RedisAddress) -> _Cause | None:
    """The cause that one of the errors behind an error shows."""
    text = str(error)
    if isinstance(error, ServerReplyError):
        by_words = (cause for words, cause in _WORDS.items() if words in text)
        return next(by_words, None) or _REPLIES.get(error.code)
    if isinstance(error, ssl.SSLCertVerificationError):
        by_words = (cause for words, cause in _CERTIFICATE.items() if words in text)
        return next(by_words, _AUTHORITY)
    if isinstance(error, NotRedisError):
        return _Cause("not-redis", "what listens at {where} is not Redis")
    if address.tls and (isinstance(error, ConnectionLostError) or "CERTIFICATE_REQUIRED" in text):
        return _CLIENT_CERTIFICATE
    if isinstance(error, FileNotFoundError) and address.path:
        return _Cause("socket-missing", "there is no socket {where}")
    return next((cause for kind, cause in _CLASSES.items() if isinstance(error, kind)), None)


def _mend(cause: _Cause, server: ServerFacts) -> str:
    """The line to type, or what to write as the URL; empty if the explanation of the error says it."""
    address = server.address
    if cause.command:
        return redis_cli(address, cause.command)
    if server.speaks_tls is not None:
        return setting_of(replace(address, tls=server.speaks_tls))
    if cause.name == "login-missing" and not address.path:
        return f"REDIS_URL={url_of(replace(address, username=None)).replace('://', '://:PASSWORD@')}"
    if cause is _NO_PASSWORD:
        return f"REDIS_URL={url_of(replace(address, username=None, password=None))}"
    return ""


def setting_of(address: RedisAddress) -> str:
    """The setting to write; it says what belongs in the place of the dots."""
    url = url_of(address)
    return f"REDIS_URL={url}{' (with your login in place of ...)' if '...@' in url else ''}"


def url_of(address: RedisAddress) -> str:
    """What to write as ``REDIS_URL``, with ``...`` in place of what nobody may see, and of the options."""
    login = "...@" if address.password is not None or address.username else ""
    options = "?..." if address.options and address.tls else ""
    if address.path:
        return f"unix://{login}{address.path}?db={address.db}"
    return f"{'rediss' if address.tls else 'redis'}://{login}{address.where}/{address.db}{options}"
