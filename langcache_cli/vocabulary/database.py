"""Connecting to the vocabulary database: PostgreSQL through asyncpg, SQLite through aiosqlite."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from langcache_cli.vocabulary.database_url import DatabaseAddress
from langcache_cli.vocabulary.errors import DatabaseConfigurationError
from langcache_cli.vocabulary.problems import explained

CONNECT_TIMEOUT_SECONDS = 5.0
CLOSE_SECONDS = 2.0
QUERY_SECONDS = 60.0
"""Far more than any query here takes: a server that hangs must not hang a cron job."""

_WITHOUT_NAMED_STATEMENTS: Final[dict[str, Any]] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: "",
}
"""A pooler such as PgBouncer may give each transaction another server, which lacks the statements."""


class Database:
    """A vocabulary database. Making one connects to nothing."""

    def __init__(self, url: str, *, timeout: float | None = None) -> None:
        """Understand the URL.

        Args:
            url: ``postgresql://``, ``postgres://`` or ``sqlite:///``, with or without a driver.
            timeout: Seconds to wait for a connection; by default the URL's, else `CONNECT_TIMEOUT_SECONDS`.

        Raises:
            DatabaseConfigurationError: It is no such URL. The message does not repeat it.
        """
        self._address = DatabaseAddress.parse(url)
        self.target = self._address.target
        self._timeout = timeout
        self._engine: AsyncEngine | None = None
        self._file_is_usable = False
        self._keeps_statements = False

    @property
    def engine(self) -> AsyncEngine:
        """The SQLAlchemy engine."""
        if self._engine is None:
            # No transactions: there is nothing to roll back. A rollback costs a round trip for each query,
            # and SQLAlchemy waits for it without end, Ctrl-C or not, when the server has stopped answering.
            self._engine = create_async_engine(
                self._address.url, isolation_level="AUTOCOMMIT", connect_args=self._arguments()
            )
        return self._engine

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session to read with; each query sees what is committed when it begins.

        Raises:
            DatabaseError: What went wrong, in terms of what to do about it.
        """
        self._require_usable_file()
        with explained(self.target):
            async with AsyncSession(self.engine) as session:
                yield session

    async def keep_statements(self) -> None:
        """Prepare each statement once for each connection, as applications do, unless a pooler is in between.

        A pooler makes up the process ids that it announces; `pg_backend_pid` asks the server itself.

        Raises:
            DatabaseError: The database could not be asked.
        """
        if self._address.url.get_backend_name() != "postgresql" or self._keeps_statements:
            return
        asks_for_none = any(self._address.arguments.get(name) == 0 for name in _WITHOUT_NAMED_STATEMENTS)
        async with self.session() as session:
            connection = await (await session.connection()).get_raw_connection()
            announced = connection.driver_connection.get_server_pid() if connection.driver_connection else 0
            asked = await session.scalar(select(func.pg_backend_pid()))
        if announced == asked and not asks_for_none:
            self._keeps_statements = True
            await self.aclose()

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

    def _arguments(self) -> dict[str, Any]:
        """What the driver's ``connect`` gets besides the URL."""
        limits: dict[str, Any] = (
            {} if "timeout" in self._address.url.query else {"timeout": CONNECT_TIMEOUT_SECONDS}
        )
        given = {} if self._timeout is None else {"timeout": self._timeout}
        if self._address.url.get_backend_name() == "postgresql":
            limits["command_timeout"] = QUERY_SECONDS
            if not self._keeps_statements:
                return {**limits, **self._address.arguments, **given, **_WITHOUT_NAMED_STATEMENTS}
        return {**limits, **self._address.arguments, **given}

    def _require_usable_file(self) -> None:
        """Refuse a SQLite file that cannot be opened, or is not there: opening it would make an empty one."""
        file = self._address.file
        if self._file_is_usable or file is None:
            return
        if not file.is_file():
            raise DatabaseConfigurationError("there is no such database file", target=self.target)
        if "immutable" not in self._address.url.query and _needs_a_writable_folder(file):
            raise DatabaseConfigurationError(
                "the SQLite file has a write-ahead log, for which its folder must be writable; if nothing "
                f"writes to the file, use sqlite:///file:{file}?immutable=1&uri=true",
                target=self.target,
            )
        self._file_is_usable = True


def _needs_a_writable_folder(file: Path) -> bool:
    """True if SQLite would have to make the index of the write-ahead log, and may not."""
    try:
        with file.open("rb") as opened:
            header = opened.read(20)
    except OSError:
        return False  # SQLite says what is wrong
    uses_log = header[18:20] == b"\x02\x02"
    index = file.with_name(f"{file.name}-shm")
    return uses_log and not index.exists() and not os.access(file.resolve().parent, os.W_OK)
