"""Invalidations that wait for a SQLAlchemy transaction: its commit runs them, its rollback drops them.

What is asked for inside a savepoint belongs to that savepoint. Each is also made at once: the commit may come
late, as in a dependency that FastAPI ends after the response. Invalidating only before the commit would let
other callers store the old value once more; so it is repeated after it.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from langcache_cli.caching._errors import is_interruption
from langcache_cli.caching._invalidation.connection_commits import ConnectionCommits
from langcache_cli.caching._keys.selection import Invalidation


class Remover(Protocol):
    """How invalidations are made."""

    async def removed(self, invalidations: Sequence[Invalidation]) -> None:
        """Invalidate, on the running event loop."""

    def remove_apart(self, invalidations: Sequence[Invalidation]) -> None:
        """Invalidate where nothing can be awaited."""

    def keep(self, invalidations: Sequence[Invalidation]) -> None:
        """Let this process not read what they are about before Redis has confirmed them."""

    def remove_soon(self, invalidations: Sequence[Invalidation]) -> None:
        """Begin to invalidate, and do not wait."""


class CommitHooks:
    """The waiting invalidations of every session and connection that one cache was given."""

    def __init__(self, remover: Remover) -> None:
        """Use ``remover`` when they are asked for, and after the commit."""
        self._remover = remover
        self._sessions: WeakKeyDictionary[Any, _Waiting | ConnectionCommits] = WeakKeyDictionary()

    def add(self, session: Any, invalidations: Sequence[Invalidation], *, at_once: bool = True) -> None:
        """Invalidate now, and when the transaction of ``session`` commits, or the next that it begins.

        Args:
            session: A session, a scoped session or a connection of SQLAlchemy, asynchronous or not.
            invalidations: What to invalidate then.
            at_once: False if the caller invalidates now.

        Raises:
            TypeError: It is none of these.
        """
        inner, is_session = _inner(session)
        waiting = self._sessions.get(inner)
        if waiting is None:
            waiting = _Waiting(self._finish) if is_session else ConnectionCommits(self._finish)
            self._sessions[inner] = waiting
            waiting.listen_to(inner)
        waiting.add(inner, invalidations)
        if at_once:
            self._remover.remove_soon(invalidations)

    def _finish(self, invalidations: Sequence[Invalidation]) -> None:
        """Invalidate before the commit returns to its caller, if that can await."""
        try:
            work: Coroutine[Any, Any, None] = self._remover.removed(invalidations)
            try:
                importlib.import_module("sqlalchemy.util").await_only(work)
            except _not_awaitable():
                work.close()
                self._remover.remove_apart(invalidations)
        except BaseException as error:
            if is_interruption(error):
                self._remover.keep(invalidations)
            raise


def _not_awaitable() -> tuple[type[Exception], ...]:
    """What `await_only` raises in a synchronous session, with and without greenlet installed."""
    missing: type[Exception] = importlib.import_module("sqlalchemy.exc").MissingGreenlet
    return missing, ImportError, ValueError


def _inner(session: Any) -> tuple[Any, bool]:
    """The synchronous session or connection of SQLAlchemy that has the transaction; True for a session.

    Raises:
        TypeError: There is none.
    """
    current = getattr(session, "registry", lambda: session)()  # the session behind a scoped one
    for name in ("sync_session", "sync_connection"):
        current = getattr(current, name, current)
    # imported by name: a caller with a session has imported SQLAlchemy, and no other caller needs it
    if isinstance(current, importlib.import_module("sqlalchemy.orm").Session):
        return current, True
    if isinstance(current, importlib.import_module("sqlalchemy").Connection):
        return current, False
    raise TypeError(
        f"after_commit needs a session or a connection of SQLAlchemy, not {type(session).__qualname__}: "
        "with anything else, invalidate after its commit()"
    )


class _Waiting:
    """The invalidations of one session, by the transaction or savepoint in which they were asked for."""

    def __init__(self, finish: Callable[[Sequence[Invalidation]], object]) -> None:
        self._finish = finish
        self.of: defaultdict[Any, list[Invalidation]] = defaultdict(list)
        self._commit_begun = False

    def listen_to(self, session: Any) -> None:
        listen = importlib.import_module("sqlalchemy.event").listen
        listen(session, "after_transaction_create", self._begin)
        listen(session, "before_commit", self._before_commit)
        listen(session, "after_commit", self._after_commit)
        listen(session, "after_transaction_end", self._end)

    def add(self, session: Any, invalidations: Sequence[Invalidation]) -> None:
        self.of[_current(session)] += invalidations

    def _begin(self, _: Any, transaction: Any) -> None:
        """Give the first transaction what was asked for while there was none."""
        if transaction.parent is None:
            self._commit_begun = False
            if None in self.of:
                self.of[transaction] += self.of.pop(None)

    def _before_commit(self, session: Any) -> None:
        if _current(session).parent is None:
            self._commit_begun = True

    def _after_commit(self, session: Any) -> None:
        """Move what belongs to a released savepoint to the transaction or savepoint around it."""
        transaction = _current(session)
        if transaction.parent is not None and transaction in self.of:
            self.of[_around(transaction)] += self.of.pop(transaction)

    def _end(self, _: Any, transaction: Any) -> None:
        """Invalidate once the transaction has returned its connection: none is held while Redis is asked.

        A commit that failed counts as done: perhaps only its answer was lost.
        """
        invalidations = self.of.pop(transaction, [])
        if invalidations and transaction.parent is None and self._commit_begun:
            self._finish(invalidations)


def _current(session: Any) -> Any:
    """The innermost savepoint, else the transaction; None before it has begun."""
    return session.get_nested_transaction() or session.get_transaction()


def _around(savepoint: Any) -> Any:
    """The savepoint or transaction in which a savepoint was made."""
    parent = savepoint.parent
    while not parent.nested and parent.parent is not None:
        parent = parent.parent
    return parent
