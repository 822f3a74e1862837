"""The server that is wanted: a local address, its password, its limits."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

from langcache_cli.servers.errors import InvalidSpecError, NotLocalError
from langcache_cli.servers.state import default_state_dir

DEFAULT_PORT: Final = 6379
DEFAULT_MAXMEMORY: Final = "256mb"
_LAST_PORT: Final = 65535

_SIZE = re.compile(r"[1-9][0-9]*(b|k|kb|m|mb|g|gb)?", re.IGNORECASE)
# What an ACL name may hold. Redis allows a little more, but nothing one would want to quote for three shells.
_USERNAME = re.compile(r"[^\s\"'\\$`#\x00-\x1f\x7f]+")
_ENCODE_HINT = (
    "Percent-encode the password: python -c 'import urllib.parse as u; print(u.quote(input(), \"\"))'"
)


@dataclass(frozen=True, kw_only=True)
class ServerSpec:
    """A server on this machine.

    `password` does not appear in `repr`. `username` is None for Redis' default user. `maxmemory` is a size as
    redis.conf spells it. `state_dir` holds one folder for each port.
    """

    host: str = "localhost"
    port: int = DEFAULT_PORT
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    db: int = 0
    maxmemory: str = DEFAULT_MAXMEMORY
    state_dir: Path = field(default_factory=default_state_dir)

    def __post_init__(self) -> None:
        """Refuse what no server could be started with.

        Raises:
            InvalidSpecError: Naming the value, unless it is the password.
            NotLocalError: The host is another machine.
        """
        _require_local(self.host)
        _require(0 < self.port <= _LAST_PORT, f"Port {self.port} is not between 1 and 65535.")
        _require(self.db >= 0, f"Database {self.db} is negative.")
        _require(
            _SIZE.fullmatch(self.maxmemory),
            f"maxmemory {self.maxmemory!r} is not a size.",
            "Try 256mb or 1gb.",
        )
        if self.username is not None:
            _require(
                _USERNAME.fullmatch(self.username), f"{self.username!r} can't be the name of a Redis user."
            )
            _require(
                self.password,
                f"User {self.username!r} has no password.",
                "Write redis://user:password@localhost",
            )
        _require(
            "\0" not in (self.password or ""), "The password holds a NUL character.", "Choose another one."
        )

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        port: int | None = None,
        maxmemory: str = DEFAULT_MAXMEMORY,
        state_dir: Path | None = None,
    ) -> ServerSpec:
        """Read a `redis://` URL of this machine, user and password percent-decoded.

        Args:
            url: `redis://[[user]:password@]localhost[:port][/db]`; any loopback address will do.
            port: Takes the place of the URL's port.
            maxmemory: The server's limit, as redis.conf spells sizes.
            state_dir: Where to remember what was started; by default `state.default_state_dir()`.

        Raises:
            NotLocalError: The URL names another machine, TLS, a socket or a cluster.
            InvalidSpecError: The URL can't be read. The message does not repeat it: it holds a password.
        """
        parts = _split(url)
        user, secret = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(
            host=unquote(parts.hostname or "localhost"),
            port=port or parts.port or DEFAULT_PORT,
            username=None if user in {"", "default"} else user,
            password=secret or None,
            db=_database(parts),
            maxmemory=maxmemory,
            state_dir=state_dir or default_state_dir(),
        )

    @property
    def password_rule(self) -> str:
        """The ACL rule that lets the user in: a SHA-256, so that no file holds the password itself."""
        return f"#{_digest(self.password)}" if self.password else "nopass"

    def mask(self, text: str) -> str:
        """`text` without the password, as typed, percent-encoded or hashed."""
        if not self.password:
            return text
        for secret in (self.password, quote(self.password, safe=""), _digest(self.password)):
            text = text.replace(secret, "***")
        return text


def _split(url: str) -> SplitResult:
    """Take a URL apart; what is wrong with it is said without showing it."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # reading it is what checks it, and urllib's own message would show what is there
    except ValueError:
        raise InvalidSpecError("REDIS_URL can't be read as a URL.", hint=_ENCODE_HINT) from None
    if parts.scheme != "redis":
        raise NotLocalError(
            f"langcache starts only local servers without TLS; REDIS_URL begins with {parts.scheme!r}.",
            hint="Start that server where it lives, or set REDIS_URL to redis://:password@localhost:6379/0",
        )
    # An @ behind the host means that the password held a bare / ? or # and the "host" is a piece of it.
    if parts.fragment or "@" in parts.path + parts.query:
        raise InvalidSpecError(
            "The password in REDIS_URL holds characters that end it early.", hint=_ENCODE_HINT
        )
    return parts


def _database(parts: SplitResult) -> int:
    text = parse_qs(parts.query).get("db", [parts.path.strip("/") or "0"])[0]
    _require(text.isascii() and text.isdigit(), f"Database {text!r} in REDIS_URL is not a number.")
    return int(text)


def _require_local(host: str) -> None:
    if not (host == "localhost" or _is_loopback(host)):
        raise NotLocalError(
            f"langcache starts only local servers; REDIS_URL names host {host!r}.",
            hint="Start that server where it lives, or set REDIS_URL to redis://:password@localhost:6379/0",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _require(condition: object, message: str, hint: str = "Correct it and run the command again.") -> None:
    if not condition:
        raise InvalidSpecError(message, hint=hint)


def _digest(password: str | None) -> str:
    return hashlib.sha256((password or "").encode()).hexdigest()
