"""Findings about the vocabulary database: reachable, its table, every column that a word has."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from langcache_cli.operations.diagnosis.finding import Finding

if TYPE_CHECKING:
    from langcache_cli.vocabulary import Database

WHY: Final = "Values that are not cached cannot be loaded, and nothing can be warmed."

CLOSE_SECONDS: Final = 0.2
"""A connection to a server that hangs is not closed in good order."""

_NAMES: Final = {
    "no table vocabulary_words": (
        "database-table-missing",
        "Run the migrations of the backend, or name its database in DATABASE_URL.",
    ),
    "no such database on the server": ("database-missing", "Check the name at the end of DATABASE_URL."),
    "no such database file": ("database-file-missing", "Check the path in DATABASE_URL."),
    "may not read": ("database-right-missing", "As its owner: GRANT SELECT ON vocabulary_words TO {user}"),
}
"""Name and mend by words of the error."""
_KINDS: Final = {
    "DatabaseAuthenticationError": (
        "database-login-refused",
        "Check the user and the password in DATABASE_URL.",
    ),
    "DatabaseUnavailableError": ("database-unreachable", "Check DATABASE_URL, and that its server runs."),
    "DatabaseConfigurationError": ("database-unusable", "Check DATABASE_URL."),
}


def open_database(opened: Callable[[], Database | None]) -> tuple[Database | None, list[Finding]]:
    """The database, and what is wrong with its URL. All that it needs is imported now, which takes a while.

    Args:
        opened: The database that ``DATABASE_URL`` names; None if it is not set.
    """
    try:
        database = opened()
        if database is not None:
            _ = database.engine  # imports the driver
    except Exception as error:
        if type(error).__name__ not in _KINDS:
            raise
        return None, [_failed(error, "")]
    return database, []


async def database_findings(database: Database | None, *, within: float) -> list[Finding]:
    """What is wrong with the database; nothing if none is configured, and then nothing of it is imported.

    Args:
        database: The database, which is closed at the end.
        within: Seconds for everything.
    """
    if database is None:
        return []

    from langcache_cli.vocabulary import DatabaseError  # noqa: PLC0415 - SQLAlchemy takes as long as all else

    looking = asyncio.create_task(_looked_at(database))
    await asyncio.wait({looking}, timeout=within)
    for _ in range(2):  # once to end the query, once to end the wait for a good end of its connection
        if not looking.done():
            looking.cancel()
            await asyncio.wait({looking}, timeout=CLOSE_SECONDS)
    try:
        return [*looking.result()] if looking.done() else [_slow(database, within)]
    except asyncio.CancelledError:
        return [_slow(database, within)]
    except DatabaseError as error:
        return [_failed(error, _user(database))]
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await database.aclose()


async def _looked_at(database: Database) -> Sequence[Finding]:
    from sqlalchemy import select, text  # noqa: PLC0415 - as above

    from langcache_cli.vocabulary import vocabulary_words  # noqa: PLC0415 - as above
    from langcache_cli.vocabulary.words import WORD_COLUMNS  # noqa: PLC0415 - as above

    async with database.session() as session:
        there = (await session.execute(select(text("*")).select_from(vocabulary_words).limit(0))).keys()
    if lacking := [column for column in WORD_COLUMNS if column.name not in there]:
        types = {column.name: column.type.compile(database.engine.dialect) for column in lacking}
        return [_without_columns(types, database.target)]
    async with database.session() as session:
        first = (await session.execute(select(*WORD_COLUMNS).limit(1))).first()
    return [] if first else [_empty(database.target)]


def _without_columns(types: dict[str, str], target: str) -> Finding:
    added = "; ".join(
        f"ALTER TABLE vocabulary_words ADD COLUMN {name} {kind}" for name, kind in types.items()
    )
    plural = "s" if len(types) > 1 else ""
    return Finding(
        "database-column-missing",
        "error",
        f"the table vocabulary_words lacks the column{plural} {', '.join(types)} ({target})",
        WHY,
        f"Run the migrations of the backend, or: {added}",
    )


def _empty(target: str) -> Finding:
    return Finding(
        "database-empty",
        "warning",
        f"the table vocabulary_words is empty ({target})",
        "Look-ups find nothing, and there is nothing to warm.",
        "Fill it, or name the database with the words in DATABASE_URL.",
    )


def _user(database: Database) -> str:
    return database.engine.url.username or ""


def _slow(database: Database, within: float) -> Finding:
    from langcache_cli.vocabulary import DatabaseUnavailableError  # noqa: PLC0415 - as above

    error = DatabaseUnavailableError(
        f"the database did not answer within {within:g} s", target=database.target
    )
    return _failed(error, _user(database))


def _failed(error: Exception, user: str) -> Finding:
    """The finding of an error of the database; its message names the database without secrets."""
    text = str(error)
    by_words = (found for words, found in _NAMES.items() if words in text)
    by_class = (_KINDS[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _KINDS)
    name, mend = next(by_words, None) or next(by_class)
    return Finding(name, "error", text, WHY, mend.format(user=user or "USER"), error=error)
