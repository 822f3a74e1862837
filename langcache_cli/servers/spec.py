"""The server to start, stop or look at: a local address, its user and password, its limits."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from langcache_cli.server_options import DEFAULT_MAXMEMORY
from langcache_cli.servers.errors import InvalidSpecError, NotLocalError
from langcache_cli.servers.state import StateFolder
from langcache_cli.state_dir import default_state_dir

if TYPE_CHECKING:
    from langcache_cli.caching.tooling import RedisAddress

CLUSTER_SCHEME: Final = "redis+cluster://"

_DEFAULT_PORT: Final = 6379
_LAST_PORT: Final = 65535
_USUAL_DATABASES: Final = 16
_LAST_DB: Final = 9999  # each takes memory, used or not

_SIZE = re.compile(r"[1-9][0-9]*(b|k|kb|m|mb|g|gb)?", re.IGNORECASE)
# A little stricter than Redis: no character that needs quoting in a shell or in redis.conf.
_USERNAME = re.compile(r"[^\s\"'\\$`#\x00-\x1f\x7f]+")
_ENCODE_HINT = (
    "Percent-encode the password: python -c 'import urllib.parse as u; print(u.quote(input(), \"\"))'"
)
_LOCAL_HINT = "Start that server where it lives, or set REDIS_URL to redis://:password@localhost:6379/0"


@dataclass(frozen=True, kw_only=True)
class ServerSpec:
    """A server on this machine.

    Attributes:
        host: ``localhost`` or a loopback address.
        port: TCP port.
        username: ACL user; None for Redis' default user.
        password: The secret, or None; not in ``repr``.
        db: Database number, for the shell.
        maxmemory: Memory limit as redis.conf writes it, such as ``256mb``.
        state_dir: Holds one folder for each port.
        cluster: It is a node of a cluster.
    """

    host: str = "localhost"
    port: int = _DEFAULT_PORT
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    db: int = 0
    maxmemory: str = DEFAULT_MAXMEMORY
    state_dir: Path = field(default_factory=default_state_dir)
    cluster: bool = False

    def __post_init__(self) -> None:
        """Refuse values that no server can be started with.

        Raises:
            InvalidSpecError: A value is invalid; the message shows it unless it is the password.
            NotLocalError: The host is another machine.
        """
        if not (self.host == "localhost" or _is_loopback(self.host)):
            raise NotLocalError(
                f"langcache starts only local servers; REDIS_URL names host {self.host!r}.", hint=_LOCAL_HINT
            )
        _require(0 < self.port <= _LAST_PORT, f"Port {self.port} is not between 1 and 65535.")
        _require(0 <= self.db <= _LAST_DB, f"Database {self.db} is not between 0 and {_LAST_DB}.")
        size = f"maxmemory {self.maxmemory!r} is not a size."
        _require(_SIZE.fullmatch(self.maxmemory), size, "Try 256mb or 1gb.")
        if self.username is not None:
            user = self.username
            _require(_USERNAME.fullmatch(user), f"{user!r} is not allowed as the name of a Redis user.")
            url = "Write redis://user:password@localhost"
            _require(self.password, f"User {user!r} has no password.", url)
        secret = self.password or ""
        _require("\0" not in secret, "The password contains a NUL character.", "Choose another one.")
        _require(_is_utf8((self.username or "") + secret), "The user or password is not UTF-8.", _ENCODE_HINT)

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
            url: `redis://[[user]:password@]localhost[:port][/db]`; every loopback address is allowed. Of a
                `redis+cluster://` URL, its first node.
            port: Replaces the URL's port.
            maxmemory: The server's memory limit, as redis.conf writes it.
            state_dir: Where records of started servers are kept; by default `default_state_dir()`.

        Raises:
            NotLocalError: The URL names another machine, TLS, a socket or a cluster.
            InvalidSpecError: The URL is malformed. The message does not repeat it: it may hold a password.
        """
        from langcache_cli.caching.tooling import RedisAddress  # noqa: PLC0415 - see `probe`

        url = _first_node(url.strip())
        if not url.lower().startswith("redis://"):
            raise NotLocalError(
                "langcache starts only local servers without TLS; REDIS_URL does not begin with redis://.",
                hint=_LOCAL_HINT,
            )
        try:
            address = RedisAddress.parse(url)
        except ValueError as error:
            raise InvalidSpecError(f"REDIS_URL: {error}.", hint=_ENCODE_HINT) from None
        return cls(
            host=address.host,
            port=port or address.port,
            username=None if address.username == "default" else address.username,
            password=address.password,
            db=address.db,
            maxmemory=maxmemory,
            state_dir=state_dir or default_state_dir(),
        )

    @property
    def address(self) -> RedisAddress:
        """The address for `connect` of the caching core. Database 0, which every server has."""
        from langcache_cli.caching.tooling import RedisAddress  # noqa: PLC0415 - see `probe`

        return RedisAddress(
            host=self.host,
            port=self.port,
            path="",
            db=0,
            username=self.username,
            password=self.password,
            tls=False,
            options={},
        )

    @property
    def databases(self) -> int:
        """How many databases the server needs."""
        return max(_USUAL_DATABASES, self.db + 1)

    @property
    def folder(self) -> StateFolder:
        """Where the server on this port is recorded."""
        return StateFolder(self.state_dir / f"redis-{self.port}")

    @property
    def password_rule(self) -> str:
        """The ACL rule for the password: its SHA-256, so that no file holds the password itself."""
        return f"#{_digest(self.password)}" if self.password else "nopass"

    def mask(self, text: str) -> str:
        """`text` without the password, neither as typed nor percent-encoded nor hashed."""
        if not self.password:
            return text
        for secret in (self.password, quote(self.password, safe=""), _digest(self.password)):
            text = text.replace(secret, "***")
        return text


def _first_node(url: str) -> str:
    """The URL of the first node of a cluster; every other URL as it is."""
    if not is_cluster(url):
        return url
    login, at, hosts = url[len(CLUSTER_SCHEME) :].partition("/")[0].rpartition("@")
    return f"redis://{login}{at}{hosts.partition(',')[0]}/0"


def is_cluster(url: str) -> bool:
    """True for the URL of a cluster without TLS."""
    return url.strip().lower().startswith(CLUSTER_SCHEME)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_utf8(text: str) -> bool:
    # An environment variable with other bytes is read as a text with lone surrogates.
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _require(condition: object, message: str, hint: str = "Correct it and run the command again.") -> None:
    if not condition:
        raise InvalidSpecError(message, hint=hint)


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
