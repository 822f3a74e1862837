"""The address of one Redis server. Its text form never contains the user, the password or the options."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from langcache_cli.caching._config.hosts import Host
from langcache_cli.caching._config.rights import AclUser

SCHEMES = ("redis", "rediss", "unix")
DEFAULT_PORT = 6379
_SCHEME = re.compile(r"\s*([a-z][a-z0-9+.-]*):", re.IGNORECASE | re.ASCII)

_EXPECTED = (
    "expected redis://:password@host:6379/0, with %2F %3F %23 and %40 for / ? # and @ inside the password"
)


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """The parts of a Redis URL.

    Attributes:
        host: Host name or address; empty for a unix socket.
        port: TCP port.
        path: Path of the unix socket; empty for TCP.
        db: Database number.
        username: ACL user, or None for the default user.
        password: The password, or None.
        tls: True for an encrypted connection (``rediss://``).
        options: The query parameters, such as ``ssl_ca_certs``; some of them are secrets.
        shown_as: What ``str()`` shows in place of one server, such as the hosts of a whole cluster; it holds
            no secret.
        namespace: The namespace of the cache there, for errors about the rights of the user.
    """

    host: str
    port: int
    path: str
    db: int
    username: str | None
    password: str | None = field(repr=False)
    tls: bool
    options: dict[str, str] = field(repr=False)
    shown_as: str = field(default="", repr=False, compare=False)
    namespace: str = field(default="cache", repr=False, compare=False)

    @classmethod
    def parse(cls, url: str) -> RedisAddress:
        """Parse a URL.

        Args:
            url: ``redis://[[user]:password@]host[:port][/db]``, ``rediss://...`` or
                ``unix://[[user]:password@]/path/to/socket[?db=N]``.

        Raises:
            ValueError: The URL is malformed. The message omits the URL, which may contain a secret.
        """
        parts = _split(url)
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        unix = parts.scheme == "unix"
        if unix and not parts.path:
            raise ValueError("a unix:// URL needs the path of a socket: unix:///run/redis/redis.sock")
        database = options.pop("db", None) or ("0" if unix else parts.path.strip("/") or "0")
        if not database.isascii() or not database.isdigit():
            raise ValueError(f"the database must be a number, such as /0; {_EXPECTED}")
        return cls(
            host="" if unix else parts.hostname or "localhost",
            port=parts.port or DEFAULT_PORT,
            path=unquote(parts.path) if unix else "",
            db=int(database),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            tls=parts.scheme == "rediss",
            options=options,
        )

    @property
    def where(self) -> str:
        """Host and port, or the path of the socket."""
        return self.path or str(Host(self.host, self.port))

    @property
    def acl_user(self) -> AclUser:
        """The user that a connection logs in as: without a password that is the default one."""
        name = self.username if self.password is not None else None
        return AclUser(name or "default", self.namespace)

    def __str__(self) -> str:
        """The address without user, password and options; safe to log."""
        if self.shown_as:
            return self.shown_as
        secret = "***@" if self.username or self.password else ""
        if self.path:
            return f"unix://{secret}{self.path}?db={self.db}"
        return f"{'rediss' if self.tls else 'redis'}://{secret}{self.where}/{self.db}"


def scheme_of(url: str, allowed: Sequence[str]) -> str:
    """The scheme of a URL, in lower case.

    Raises:
        ValueError: It is none of those allowed.
    """
    found = _SCHEME.match(url)
    scheme = found[1].lower() if found else ""
    if scheme not in allowed:
        # Without '://' the text before the colon may be a user or a password: do not repeat it.
        got = repr(f"{scheme}://") if f"{scheme}://" in url.lower() else "no scheme"
        begins = ", ".join(f"{name}://" for name in allowed)
        raise ValueError(f"it must begin with one of {begins} (got {got})")
    return scheme


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # urlsplit validates the port on first access only
    except ValueError:
        raise ValueError(f"the port or host is malformed; {_EXPECTED}") from None
    scheme_of(url, SCHEMES)
    _reject_misplaced_password(parts)
    return parts


def _reject_misplaced_password(parts: SplitResult) -> None:
    """Detect an unescaped ``/ ? #`` or ``@`` in a password: the URL was split at it."""
    unix = parts.scheme == "unix"
    if unix and parts.netloc and not parts.netloc.endswith("@"):
        raise ValueError(f"a unix:// URL has three slashes before its path; {_EXPECTED}")
    if parts.fragment or "@" in parts.query or ("@" in parts.path and not unix):
        raise ValueError(f"it has a '#' or '@' in the wrong place; {_EXPECTED}")
