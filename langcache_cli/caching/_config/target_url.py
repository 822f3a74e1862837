"""Taking apart a ``redis+cluster://`` or ``redis+sentinel://`` URL.

`urllib.parse.urlsplit` knows one host only, so the part before the path is split here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote

from langcache_cli.caching._config.hosts import Host, parse_hosts
from langcache_cli.caching._config.redis_address import DEFAULT_PORT, RedisAddress

FLEET_SCHEMES = ("redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel")
SENTINEL_PORT = 26379

_ESCAPES = "with %2F %3F %23 and %40 for / ? # and @ inside the password"
_SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password", "sentinel_tls")
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True)
class TargetUrl:
    """The parts of a URL that names several hosts."""

    scheme: str
    username: str | None
    password: str | None = field(repr=False)
    hosts: tuple[Host, ...]
    service: str
    db: int
    options: dict[str, str] = field(repr=False)
    sentinel_options: dict[str, str] = field(repr=False)

    @classmethod
    def split(cls, url: str) -> TargetUrl:
        """Split a URL with one of `FLEET_SCHEMES`.

        Raises:
            ValueError: The URL is malformed; the message says what is expected and omits the URL.
        """
        scheme, _, rest = url.partition(":")
        scheme = scheme.lower()
        expected = _expected(scheme)
        if not rest.startswith("//"):
            raise ValueError(f"'//' is missing after the scheme; {expected}")
        rest = rest[2:]
        authority, path, query = _cut(rest, expected)
        login, at, hosts = authority.rpartition("@")
        username, colon, password = login.partition(":")
        try:
            is_sentinel = scheme.endswith("+sentinel")
            default_port = SENTINEL_PORT if is_sentinel else DEFAULT_PORT
            parsed_hosts = parse_hosts(hosts, default_port=default_port)
            options = _options(query)
            path_of = _sentinel_path if is_sentinel else _cluster_path
            service, db = path_of(path, options.pop("db", ""))
            sentinel_options = _take_sentinel_options(options, scheme)
        except ValueError as error:
            raise ValueError(f"{error}; {expected}") from None
        return cls(
            scheme=scheme,
            username=unquote(username) if at and username else None,
            password=unquote(password) if colon and password else None,
            hosts=parsed_hosts,
            service=service,
            db=db,
            options=options,
            sentinel_options=sentinel_options,
        )

    @property
    def is_sentinel(self) -> bool:
        """True for a service behind Sentinel, False for a cluster."""
        return self.scheme.endswith("+sentinel")

    def server(self) -> RedisAddress:
        """Login, TLS, database and options of the data servers, at the first host."""
        host, port = self.hosts[0]
        tls = self.scheme.startswith("rediss+")
        return RedisAddress(host, port, "", self.db, self.username, self.password, tls, self.options)

    def sentinel(self) -> RedisAddress:
        """Login, TLS and options of the sentinels, at the first host."""
        host, port = self.hosts[0]
        own = self.sentinel_options
        tls = (
            _TRUTH[own["sentinel_tls"].lower()]
            if "sentinel_tls" in own
            else self.scheme.startswith("rediss+")
        )
        username, password = own.get("sentinel_username"), own.get("sentinel_password")
        return RedisAddress(host, port, "", 0, username, password, tls, self.options)


def reject_several_hosts(url: str) -> None:
    """Raise a `ValueError` if a ``redis://`` URL has several hosts."""
    scheme, _, rest = url.strip().partition("://")
    scheme = scheme.lower()
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if scheme in ("redis", "rediss") and "," in authority.rpartition("@")[2]:
        raise ValueError(
            f"{scheme}:// takes one host; several hosts are a cluster, {scheme}+cluster://host1:{DEFAULT_PORT},"
            f"host2:{DEFAULT_PORT}, or sentinels, {scheme}+sentinel://host1:{SENTINEL_PORT},"
            f"host2:{SENTINEL_PORT}/service"
        )


def _expected(scheme: str) -> str:
    if scheme.endswith("+cluster"):
        return f"expected {scheme}://:password@host1:{DEFAULT_PORT},host2:{DEFAULT_PORT}, {_ESCAPES}"
    hosts = f"host1:{SENTINEL_PORT},host2:{SENTINEL_PORT}"
    return f"expected {scheme}://:password@{hosts}/service/0?sentinel_password=..., {_ESCAPES}"


def _cut(rest: str, expected: str) -> tuple[str, str, str]:
    """The parts before the path, of the path, and of the query.

    An unescaped ``/ ? #`` or ``@`` in a password cuts at the wrong place, which leaves an ``@`` too many.
    """
    before_query, _, query = rest.partition("?")
    authority, _, path = before_query.partition("/")
    if "#" in rest or "@" in path or "@" in query:
        raise ValueError(f"it has a '#' or '@' in the wrong place; {expected}")
    if "@" in authority.partition("@")[2]:
        raise ValueError(
            f"it has an '@' too many: user and password are written once, before the first host; {expected}"
        )
    return authority, path, query


def _cluster_path(path: str, db_option: str) -> tuple[str, int]:
    for text in (path.strip("/"), db_option):
        if text and not _is_number(text):
            raise ValueError("after the hosts of a cluster comes /0 or nothing")
        if int(text or "0"):
            raise ValueError("a cluster has database 0 only: write /0 or nothing after the hosts")
    return "", 0


def _sentinel_path(path: str, db_option: str) -> tuple[str, int]:
    service, _, database = path.rstrip("/").partition("/")
    if not service:
        raise ValueError(
            "the service is missing: write /NAME as in 'sentinel monitor NAME ...' of sentinel.conf"
        )
    if not all(_is_number(text) for text in (database, db_option) if text):
        raise ValueError("after the service comes the number of the database, such as /0, or nothing")
    name = unquote(service)
    if any(character.isspace() or not character.isprintable() for character in name):
        raise ValueError("the name of the service holds a character that no name of a service has")
    return name, int(db_option or database or "0")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len("2147483647")


def _options(query: str) -> dict[str, str]:
    """The options, with their escapes decoded; of several values the last counts."""
    if any("=" not in item for item in query.split("&") if item):
        raise ValueError("an option after '?' has no '=': write name=value, with %26 for & inside a value")
    plus_is_plus = query.replace("+", "%2B")  # in forms it is a space; in a password it is not
    return {name: values[-1] for name, values in parse_qs(plus_is_plus).items()}


def _take_sentinel_options(options: dict[str, str], scheme: str) -> dict[str, str]:
    """Remove the options that concern sentinels and return them."""
    names = [name for name in options if name.startswith("sentinel")]
    if names and not scheme.endswith("+sentinel"):
        raise ValueError("options that begin with 'sentinel' belong to a redis+sentinel:// URL: remove them")
    if any(name not in _SENTINEL_OPTIONS for name in names):
        raise ValueError(f"of the options for sentinels there are only {', '.join(_SENTINEL_OPTIONS)}")
    own = {name: options.pop(name) for name in names}
    if (tls := own.get("sentinel_tls")) is not None:
        if tls.lower() not in _TRUTH:
            raise ValueError("sentinel_tls is true or false")
        if _TRUTH[tls.lower()] and not scheme.startswith("rediss+"):
            raise ValueError("sentinel_tls=true needs TLS everywhere: write rediss+sentinel://")
    if "sentinel_username" in own and "sentinel_password" not in own:
        raise ValueError("sentinel_username needs sentinel_password")
    return own
