"""Invalidations that wait for the commit of a SQLAlchemy connection without a session."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from langcache_cli.caching._keys.selection import Invalidation


class ConnectionCommits:
    """The invalidations of one connection, each with the names of the savepoints around it."""

    def __init__(self, finish: Callable[[Sequence[Invalidation]], object]) -> None:
        """Call ``finish`` with everything once the transaction was committed."""
        self._finish = finish
        self._waiting: list[tuple[Invalidation, frozenset[str]]] = []

    def listen_to(self, connection: Any) -> None:
        """Follow the transactions of a ``Connection``."""
        listen = importlib.import_module("sqlalchemy.event").listen
        listen(connection, "rollback", self._rolled_back)
        listen(connection, "rollback_savepoint", self._savepoint_rolled_back)
        # SQLAlchemy's own event comes before the commit, and there is none after it
        for name in ("_commit_impl", "_commit_twophase_impl"):
            setattr(connection, name, partial(self._commit, getattr(connection, name)))

    def add(self, connection: Any, invalidations: Sequence[Invalidation]) -> None:
        """Invalidate after the next commit."""
        savepoints = frozenset(_savepoints(connection))
        self._waiting += [(item, savepoints) for item in invalidations]

    def _commit(self, commit: Callable[..., object], *arguments: Any) -> None:
        """Commit, then invalidate. A commit that failed counts as done: perhaps only its answer was lost."""
        try:
            commit(*arguments)
        finally:
            waiting, self._waiting = self._waiting, []
            if waiting:
                self._finish([item for item, _ in waiting])

    def _rolled_back(self, _: Any) -> None:
        self._waiting = []

    def _savepoint_rolled_back(self, _: Any, name: str, __: Any) -> None:
        self._waiting = [(item, savepoints) for item, savepoints in self._waiting if name not in savepoints]


def _savepoints(connection: Any) -> Iterator[str]:
    """The names of the savepoints that are open; those that SQLAlchemy does not tell drop nothing."""
    savepoint = connection.get_nested_transaction()
    while savepoint is not None:
        yield getattr(savepoint, "_savepoint", "")
        savepoint = getattr(savepoint, "_previous_nested", None)
