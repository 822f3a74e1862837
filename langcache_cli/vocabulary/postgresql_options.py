"""The options of a PostgreSQL URL: those of libpq and those of asyncpg, as asyncpg wants them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy import URL

from langcache_cli.vocabulary.errors import DatabaseConfigurationError

_NUMBERS: Final[dict[str, tuple[str, Callable[[str], float]]]] = {
    "statement_cache_size": ("statement_cache_size", int),
    "max_cached_statement_lifetime": ("max_cached_statement_lifetime", int),
    "max_cacheable_statement_size": ("max_cacheable_statement_size", int),
    "prepared_statement_cache_size": ("prepared_statement_cache_size", int),
    "command_timeout": ("command_timeout", float),
    "timeout": ("timeout", float),
    "connect_timeout": ("timeout", float),
}
"""The argument of the driver for each of these options, and how to convert its value."""

_TEXTS: Final = frozenset({"passfile", "target_session_attrs", "krbsrvname", "gsslib"})
_ENCRYPTION: Final = {
    "ssl": "sslmode",  # as SQLAlchemy and asyncpg call it
    "sslmode": "sslmode",
    "sslcert": "sslcert",
    "sslkey": "sslkey",
    "sslpassword": "sslpassword",
    "sslrootcert": "sslrootcert",
    "sslcrl": "sslcrl",
    "sslnegotiation": "sslnegotiation",
    "ssl_min_protocol_version": "ssl_min_protocol_version",
    "ssl_max_protocol_version": "ssl_max_protocol_version",
}
"""Under which name asyncpg reads each of these from a DSN, and only from there."""

_SERVER_SETTINGS: Final = frozenset(
    {
        "application_name",
        "search_path",
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "timezone",
        "jit",
        "role",
    }
)
_LEFT_ASIDE: Final = frozenset(
    {
        "channel_binding",  # asyncpg has none; SCRAM works without
        "client_encoding",  # always UTF-8
        "fallback_application_name",
        "gssencmode",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "load_balance_hosts",
        "pgbouncer",  # of Prisma; works without being told
        "requirepeer",
        "sslcompression",
        "sslsni",
        "tcp_user_timeout",
    }
)
"""What these ask for makes no difference to a reader of one table."""

_OF_SQLALCHEMY: Final = frozenset({"host", "port"})
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,40}")
_SETTING: Final = re.compile(r"(?:-c\s*|--)([A-Za-z_][\w.-]*)=(.*)", re.DOTALL)


def connect_arguments(url: URL, target: str) -> tuple[URL, dict[str, Any]]:
    """The URL without the options that asyncpg gets as arguments, and these.

    Raises:
        DatabaseConfigurationError: An option is unknown or has an invalid value; its name is in the message.
    """
    sorted_out = _Options(target)
    for name, values in url.query.items():
        sorted_out.add(name, values)
    return url.set(query=sorted_out.kept), sorted_out.arguments()


class _Options:
    """The options of one URL, sorted by who wants them."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.kept: dict[str, str | tuple[str, ...]] = {}
        self._plain: dict[str, Any] = {}
        self._dsn: dict[str, str] = {}
        self._server: dict[str, str] = {}

    def add(self, name: str, values: str | tuple[str, ...]) -> None:
        value = values if isinstance(values, str) else values[-1]
        if name in _OF_SQLALCHEMY:
            self.kept[name] = values
        elif name in _NUMBERS:
            argument, convert = _NUMBERS[name]
            self._plain[argument] = _number(name, value, convert, self._target)
        elif name in _TEXTS:
            self._plain[name] = value
        elif name in _ENCRYPTION:
            self._dsn[_ENCRYPTION[name]] = value
        elif name not in _LEFT_ASIDE:
            self._server |= self._settings(name, value)

    def arguments(self) -> dict[str, Any]:
        found = dict(self._plain)
        if self._dsn:
            found["dsn"] = f"postgresql://?{urlencode(self._dsn)}"
        if self._server:
            found["server_settings"] = self._server
        return found

    def _settings(self, name: str, value: str) -> dict[str, str]:
        if name in _SERVER_SETTINGS:
            return {name: value}
        if name == "options":
            return _settings_of(value)
        if name == "server_settings":
            return _object(name, value, self._target)
        raise _unknown(name, self._target)


def _number(name: str, value: str, convert: Callable[[str], float], target: str) -> float:
    try:
        number = convert(value)
    except ValueError:
        number = -1
    if not 0 <= number <= 2**31 - 1:
        kind = "a whole number" if convert is int else "a number of seconds"
        raise DatabaseConfigurationError(f"the option {name} of the URL must be {kind}", target=target)
    return number


def _settings_of(options: str) -> dict[str, str]:
    """The settings in ``-c name=value`` and ``--name=value``; other text is passed on as it is."""
    try:
        words = shlex.split(options)
    except ValueError:
        return {"options": options}
    joined = [
        f"-c{word}" if before == "-c" else word for before, word in zip(["", *words], words, strict=False)
    ]
    found = [_SETTING.fullmatch(word) for word in joined if word != "-c"]
    if not found or not all(found):
        return {"options": options}
    return {match[1].replace("-", "_"): match[2] for match in found if match}


def _object(name: str, value: str, target: str) -> dict[str, str]:
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DatabaseConfigurationError(
            f"the option {name} of the URL must be a JSON object of names and values", target=target
        )
    return {str(key): str(item) for key, item in found.items()}


def _unknown(name: str, target: str) -> DatabaseConfigurationError:
    shown = repr(name) if _NAME.fullmatch(name) else "something"
    hint = ""
    if name.lower() in ("schema", "currentschema"):
        hint = "; a schema is named with options=-csearch_path%3DNAME"
    return DatabaseConfigurationError(
        f"{shown} is no option of the URL that can be used here{hint}", target=target
    )
