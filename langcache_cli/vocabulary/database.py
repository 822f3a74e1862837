"""Connecting to the vocabulary database: PostgreSQL through asyncpg, SQLite through aiosqlite."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from langcache_cli.vocabulary.errors import (
    DatabaseAuthenticationError,
    DatabaseConfigurationError,
    DatabaseError,
    DatabaseUnavailableError,
)

DRIVERS = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
"""The async driver of each kind of URL, whichever driver it names."""

CONNECT_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Symptom:
    """How a problem shows: a PostgreSQL SQLSTATE (or its class), or words of SQLite; and what it means."""

    states: tuple[str, ...]
    words: str
    kind: type[DatabaseError]
    meaning: str


_SYMPTOMS = (
    _Symptom(("28",), "", DatabaseAuthenticationError, "the database refused the user or the password"),
    _Symptom(("42501",), "", DatabaseAuthenticationError, "this user may not read vocabulary_words"),
    _Symptom(("3D",), "", DatabaseConfigurationError, "there is no such database on the server"),
    _Symptom(
        ("42P01",), "no such table", DatabaseConfigurationError, "the database has no table vocabulary_words"
    ),
    _Symptom(
        ("42703",),
        "no such column",
        DatabaseConfigurationError,
        "vocabulary_words lacks a column that is needed",
    ),
    _Symptom((), "file is not a database", DatabaseConfigurationError, "the file is not a SQLite database"),
    _Symptom(
        (),
        "got an unexpected keyword argument",
        DatabaseConfigurationError,
        "the driver does not know an option of the URL",
    ),
    _Symptom((), "`sslmode` parameter must be", DatabaseConfigurationError, "sslmode has no such value"),
    _Symptom(("08", "53", "57"), "database file", DatabaseUnavailableError, "the database cannot be reached"),
)


class Database:
    """A vocabulary database. Making one connects to nothing."""

    def __init__(self, url: str, *, timeout: float = CONNECT_TIMEOUT_SECONDS) -> None:
        """Understand the URL.

        Args:
            url: ``postgresql://``, ``postgres://`` or ``sqlite:///``, with or without a driver.
            timeout: Seconds to wait for a connection.

        Raises:
            DatabaseConfigurationError: It is no such URL. The message does not repeat it.
        """
        self._url = _async_url(url)
        self.target = _redacted(self._url)
        self._timeout = timeout
        self._engine: AsyncEngine | None = None

    @property
    def engine(self) -> AsyncEngine:
        """The SQLAlchemy engine."""
        if self._engine is None:
            self._engine = create_async_engine(self._url, connect_args={"timeout": self._timeout})
        return self._engine

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session in a transaction of its own, which sees what is committed when it begins.

        Raises:
            DatabaseError: What went wrong, in terms of what to do about it.
        """
        self._require_file()
        with explained(self.target):
            async with AsyncSession(self.engine) as session:
                yield session

    async def aclose(self) -> None:
        """Close the connections."""
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _require_file(self) -> None:
        """Refuse a SQLite file that is not there: opening it would make an empty one."""
        path = self._url.database
        if (
            self._url.get_backend_name() == "sqlite"
            and path not in (None, "", ":memory:")
            and not Path(path).is_file()
        ):
            raise DatabaseConfigurationError("there is no such database file", target=self.target)


@contextlib.contextmanager
def explained(target: str) -> Iterator[None]:
    """Turn errors of drivers and of SQLAlchemy into `DatabaseError`; others pass."""
    try:
        yield
    except Exception as error:
        explanation = _explain(error, target)
        if explanation is None:
            raise
        raise explanation from error


def _explain(error: BaseException, target: str) -> DatabaseError | None:
    state, text = _sqlstate(error), str(error)
    for symptom in _SYMPTOMS:
        if state.startswith(symptom.states) or (symptom.words and symptom.words in text):
            return symptom.kind(symptom.meaning, target=target)
    if isinstance(error, TimeoutError):  # before OSError, which it is
        return DatabaseUnavailableError("the database did not answer in time", target=target)
    if isinstance(error, OSError):
        return DatabaseUnavailableError(f"the database cannot be reached: {error}", target=target)
    return None


def _sqlstate(error: BaseException | None) -> str:
    """The SQLSTATE of the driver's error, however deep SQLAlchemy has wrapped it."""
    while error is not None:
        state = getattr(error, "sqlstate", None)
        if isinstance(state, str):
            return state
        error = getattr(error, "orig", None) or error.__cause__
    return ""


def _async_url(text: str) -> URL:
    allowed = "postgresql://user:password@host/name or sqlite:///path/to/file.db"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise DatabaseConfigurationError(
            f"this is no database URL; expected {allowed}", target="***"
        ) from None
    driver = DRIVERS.get(url.drivername.partition("+")[0])
    if driver is None:
        raise DatabaseConfigurationError(
            f"{url.drivername}:// is not supported; expected {allowed}", target="***"
        )
    url = url.set(drivername=driver)
    if "sslmode" in url.query:  # libpq's name for what asyncpg calls ssl
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": url.query["sslmode"]})
    return url


def _redacted(url: URL) -> str:
    """The URL without driver, user, password and options: safe to show anywhere."""
    scheme = url.get_backend_name()
    if scheme == "sqlite":
        return f"sqlite:///{url.database or ''}"
    secret = "***@" if url.username or url.password else ""
    port = f":{url.port}" if url.port else ""
    return f"{scheme}://{secret}{url.host or ''}{port}/{url.database or ''}"
