"""What is wrong when a database fails, in terms of what to do about it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from langcache_cli.vocabulary.errors import (
    DatabaseAuthenticationError,
    DatabaseConfigurationError,
    DatabaseError,
    DatabaseUnavailableError,
)


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
    _Symptom(
        ("42883", "42804", "22P02"),
        "invalid input for query argument",
        DatabaseConfigurationError,
        "a column of vocabulary_words has another type than langcache can use",
    ),
    _Symptom(
        ("42704",), "", DatabaseConfigurationError, "the server does not know a setting that the URL asks for"
    ),
    _Symptom((), "is malformed", DatabaseConfigurationError, "the SQLite file is damaged"),
    _Symptom((), "database is locked", DatabaseUnavailableError, "another process has locked the database"),
    _Symptom((), "connection is closed", DatabaseUnavailableError, "the database has ended the connection"),
    _Symptom(("08", "53", "57"), "database file", DatabaseUnavailableError, "the database cannot be reached"),
)

_CONFIGURATION_ERRORS = frozenset({"ClientConfigurationError", "InterfaceError"})
"""Errors of asyncpg about what it was asked to do, before it did anything."""


@contextlib.contextmanager
def explained(target: str) -> Iterator[None]:
    """Turn errors of drivers and of SQLAlchemy into `DatabaseError`; others pass."""
    try:
        yield
    except Exception as error:  # drivers share no base class: `_explain` knows which are theirs
        explanation = _explain(error, target)
        if explanation is None:
            raise
        raise explanation from error


def _explain(error: BaseException, target: str) -> DatabaseError | None:
    state, text = _sqlstate(error), _text(error)
    for symptom in _SYMPTOMS:
        if state.startswith(symptom.states) or (symptom.words and symptom.words in text):
            return symptom.kind(symptom.meaning, target=target)
    kind, meaning = _by_class(error, text)
    return kind(meaning, target=target) if kind is not None else None


def _by_class(error: BaseException, text: str) -> tuple[type[DatabaseError] | None, str]:
    """What the class of an error means; None for one that is not about the database."""
    if isinstance(error, TimeoutError):  # before OSError, which it is
        return DatabaseUnavailableError, "the database did not answer in time"
    if isinstance(error, OSError):
        return DatabaseUnavailableError, f"the database cannot be reached: {error}"
    if type(error).__module__.startswith("asyncpg.") and type(error).__name__ in _CONFIGURATION_ERRORS:
        return DatabaseConfigurationError, f"the driver refuses an option of the URL: {text}"
    if isinstance(error, KeyError) and "uid" in text:  # where asyncpg takes the name of the user from
        return DatabaseConfigurationError, "the URL names no user, and this one has no name"
    if isinstance(error, DBAPIError):
        return DatabaseConfigurationError, f"the database refused a query: {text}"
    return None, ""


def _text(error: BaseException) -> str:
    """The first line of the driver's own message: SQLAlchemy adds the query and its values."""
    text = str(getattr(error, "orig", None) or error)
    return text.strip().partition("\n")[0]


def _sqlstate(error: BaseException | None) -> str:
    """The SQLSTATE of the driver's error, however deep SQLAlchemy has wrapped it."""
    while error is not None:
        state = getattr(error, "sqlstate", None)
        if isinstance(state, str):
            return state
        error = getattr(error, "orig", None) or error.__cause__
    return ""
