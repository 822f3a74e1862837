"""Connecting to the vocabulary database: PostgreSQL through asyncpg, SQLite through aiosqlite."""

from __future__ import annotations

import asyncio
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
CLOSE_SECONDS = 2.0
QUERY_SECONDS = 60.0
"""Far more than any query here takes: a server that hangs must not hang a cron job."""


@dataclass(frozen=True, slots=True)
class _Symptom:
    """How a problem shows: a PostgreSQL SQLSTATE (or its class), or words of a driver; and what it means."""

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
    _Symptom((), "is malformed", DatabaseConfigurationError, "the SQLite file is damaged"),
    _Symptom((), "database is locked", DatabaseUnavailableError, "another process has locked the database"),
    _Symptom((), "connection is closed", DatabaseUnavailableError, "the database has ended the connection"),
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
            # No transactions: there is nothing to roll back. A rollback costs a round trip for each query,
            # and SQLAlchemy waits for it without end, Ctrl-C or not, when the server has stopped answering.
            limits = {"timeout": self._timeout}
            if self._url.get_backend_name() == "postgresql":
                limits["command_timeout"] = QUERY_SECONDS
            self._engine = create_async_engine(self._url, isolation_level="AUTOCOMMIT", connect_args=limits)
        return self._engine

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session to read with; each query sees what is committed when it begins.

        Raises:
            DatabaseError: What went wrong, in terms of what to do about it.
        """
        self._require_file()
        with explained(self.target):
            async with AsyncSession(self.engine) as session:
                yield session

    async def aclose(self) -> None:
        """Close the connections; a server that does not answer is not waited for."""
        engine, self._engine = self._engine, None
        if engine is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await engine.dispose()

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
