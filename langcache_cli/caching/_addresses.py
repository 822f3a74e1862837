"""Where Redis is: one URL, taken apart once, shown only without its secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

SCHEMES = ("redis", "rediss", "unix")
DEFAULT_PORT = 6379


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """The parts of a Redis URL.

    Attributes:
        host: Host name or address; empty for a unix socket.
        port: TCP port.
        path: Path of the unix socket; empty for TCP.
        db: Database number.
        username: ACL user, or None for the default user.
        password: The secret, or None.
        tls: Whether the connection is encrypted (``rediss://``).
        options: Options of the query part, such as ``ssl_ca_certs``.
    """

    host: str
    port: int
    path: str
    db: int
    username: str | None
    password: str | None = field(repr=False)
    tls: bool
    options: dict[str, str]

    @classmethod
    def parse(cls, url: str) -> RedisAddress:
        """Take a URL apart.

        Args:
            url: ``redis://[[user]:password@]host[:port][/db]``, ``rediss://...`` or
                ``unix://[[user]:password@]/path/to/socket[?db=N]``.

        Raises:
            ValueError: The URL is malformed. The message never repeats the URL, which may hold a secret.
        """
        parts = _split(url)
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        unix = parts.scheme == "unix"
        if unix and not parts.path:
            raise ValueError("a unix:// URL needs the path of a socket: unix:///run/redis/redis.sock")
        database = options.pop("db", None) or ("0" if unix else parts.path.strip("/") or "0")
        if not database.isascii() or not database.isdigit():
            raise ValueError(f"the database must be a number such as /0, not {database!r}")
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

    def __str__(self) -> str:
        """The address without user, password and options: safe to show anywhere."""
        secret = "***@" if self.username or self.password else ""
        if self.path:
            return f"unix://{secret}{self.path}?db={self.db}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{secret}{host}:{self.port}/{self.db}"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # a bad port is only noticed when it is read
    except ValueError:
        raise ValueError("the port or host is malformed; expected redis://:password@host:6379/0") from None
    if parts.scheme not in SCHEMES:
        allowed = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise ValueError(f"it must begin with one of {allowed} (got {parts.scheme or 'no scheme'!r})")
    return parts
