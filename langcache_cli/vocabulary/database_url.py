"""``DATABASE_URL``: what may be connected to, which options are passed on, what may be shown of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from langcache_cli.vocabulary.errors import DatabaseConfigurationError
from langcache_cli.vocabulary.postgresql_options import connect_arguments

DRIVERS = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
"""The async driver of each kind of URL, whichever driver it names."""

_ALLOWED = "postgresql://user:password@host/name or sqlite:///path/to/file.db"
_ESCAPES = "with %40 %2F %3A %3F and %23 for @ / : ? and # inside the password"
_NOT_A_URL = f"this is no database URL; expected {_ALLOWED}, {_ESCAPES}"
_SQLITE_NUMBERS = frozenset({"timeout", "detect_types", "cached_statements"})
_SQLITE_OPTIONS = _SQLITE_NUMBERS | {"check_same_thread", "isolation_level", "uri"}
_USER_AND_PASSWORD = re.compile(r"[^:/]*://[^:/]*(?::[^@]*)?@")
"""How SQLAlchemy splits them off."""

_OPTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,40}")


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """The parts of a database URL.

    Attributes:
        url: For SQLAlchemy, with the async driver. Its ``str`` holds the user.
        target: The URL without user, password and options: safe to show anywhere.
        arguments: For ``connect`` of the driver: the options of the URL, with the types it wants.
        file: The SQLite file that must exist; None for PostgreSQL and for a database in memory.
    """

    url: URL = field(repr=False)
    target: str
    arguments: dict[str, Any] = field(repr=False)
    file: Path | None = None

    @classmethod
    def parse(cls, text: str) -> DatabaseAddress:
        """Parse a URL; spaces and newlines around it do not count.

        Raises:
            DatabaseConfigurationError: The URL is malformed, or has an option that cannot be used. The
                message names the option and repeats nothing else.
        """
        text = text.strip()
        url = _parsed(text)
        if url.get_backend_name() == "sqlite":
            _require_sqlite(url)
            return cls(url, f"sqlite:///{url.database or ''}", {}, _file(url))
        _require_no_stray_at_sign(text)
        target = _without_secrets(url)
        url, arguments = connect_arguments(url, target)
        return cls(url, target, arguments)


def _parsed(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise DatabaseConfigurationError(_NOT_A_URL, target="***") from None
    driver = DRIVERS.get(url.drivername.partition("+")[0])
    if driver is None:
        raise DatabaseConfigurationError(
            f"{url.drivername}:// is not supported; expected {_ALLOWED}", target="***"
        )
    return url.set(drivername=driver)


def _require_no_stray_at_sign(text: str) -> None:
    """Detect an unescaped ``@`` in a password: the URL was split at it, and its rest taken for the host."""
    split = _USER_AND_PASSWORD.match(text)
    if "@" in text[split.end() if split else 0 :]:
        raise DatabaseConfigurationError(f"it has a '@' in the wrong place; {_NOT_A_URL}", target="***")


def _require_sqlite(url: URL) -> None:
    """Refuse a host, for which SQLite has no use, and options that its driver does not know."""
    if url.host or url.username or url.password:
        raise DatabaseConfigurationError(
            "a sqlite:// URL has three slashes and a path from this folder, as in sqlite:///words.db, or "
            "four and one from the root, as in sqlite:////srv/words.db",
            target="***",
        )
    target = f"sqlite:///{url.database or ''}"
    for name in _SQLITE_NUMBERS & url.query.keys():
        if not str(url.query[name]).replace(".", "", 1).isdecimal():
            raise DatabaseConfigurationError(f"the option {name} of the URL must be a number", target=target)
    if _is_uri(url):
        return  # SQLite itself ignores options that it does not know
    for name in url.query:
        if name not in _SQLITE_OPTIONS:
            shown = repr(name) if _OPTION_NAME.fullmatch(name) else "one"
            raise DatabaseConfigurationError(
                f"{shown} is no option of the URL of a SQLite file; options of SQLite such as mode=ro need "
                "sqlite:///file:PATH?mode=ro&uri=true",
                target=target,
            )


def _file(url: URL) -> Path | None:
    path = url.database
    if path in (None, "", ":memory:"):
        return None
    if not _is_uri(url):
        return Path(path)
    if url.query.get("mode") == "memory":
        return None
    name = unquote(path.removeprefix("file:"))
    if name.startswith("//"):  # file://localhost/path or file:///path
        name = "/" + name[2:].partition("/")[2]
    return None if name in ("", ":memory:") else Path(name)


def _is_uri(url: URL) -> bool:
    on = str(url.query.get("uri", "")).lower() in ("true", "1", "yes", "on", "y", "t")
    return on and (url.database or "").startswith("file:")


def _without_secrets(url: URL) -> str:
    secret = "***@" if url.username or url.password else ""
    port = f":{url.port}" if url.port else ""
    host = f"[{url.host}]" if ":" in (url.host or "") else url.host or ""
    return f"postgresql://{secret}{host}{port}/{url.database or ''}"
