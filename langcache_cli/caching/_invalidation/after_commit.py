"""Invalidations that wait for a SQLAlchemy transaction: its commit runs them, its rollback drops them.

What is asked for inside a savepoint belongs to that savepoint. Invalidating before the commit would let other
callers load the old value once more; not invalidating after it would leave the old value standing.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from langcache_cli.caching._keys.selection import Invalidation

Invalidate = Callable[[Sequence[Invalidation]], Awaitable[object]]


class CommitHooks:
    """The waiting invalidations of every session that one cache was given."""

    def __init__(self, invalidate: Invalidate) -> None:
        """Use ``invalidate`` after a commit."""
        self._invalidate = invalidate
        self._sessions: WeakKeyDictionary[Any, _Waiting] = WeakKeyDictionary()

    def add(self, session: Any, invalidations: Sequence[Invalidation]) -> None:
        """Invalidate when the transaction of ``session`` commits; without one, the next that it begins.

        Args:
            session: An ``AsyncSession``, or an ``async_scoped_session``.
            invalidations: What to invalidate then.

        Raises:
            TypeError: It is not an async session of SQLAlchemy.
        """
        current = getattr(
            session, "registry", lambda: session
        )()  # the session behind an async_scoped_session
        inner = getattr(current, "sync_session", None)
        if inner is None:
            raise TypeError(
                f"after_commit needs SQLAlchemy's AsyncSession, not {type(session).__qualname__}: "
                "with any other session, invalidate after its commit()"
            )
        waiting = self._sessions.get(inner)
        if waiting is None:
            self._sessions[inner] = waiting = _Waiting(self._invalidate)
            waiting.listen_to(inner)
        waiting.of[_current(inner)] += invalidations


class _Waiting:
    """The invalidations of one session, by the transaction or savepoint in which they were asked for."""

    def __init__(self, invalidate: Invalidate) -> None:
        self._invalidate = invalidate
        self.of: defaultdict[Any, list[Invalidation]] = defaultdict(list)
        self._commit_begun = False

    def listen_to(self, session: Any) -> None:
        # imported by name: a caller with a session has imported SQLAlchemy, and no other caller needs it
        listen = importlib.import_module("sqlalchemy.event").listen
        listen(session, "after_transaction_create", self._begin)
        listen(session, "before_commit", self._before_commit)
        listen(session, "after_commit", self._after_commit)
        listen(session, "after_transaction_end", self._end)

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
            importlib.import_module("sqlalchemy.util").await_only(self._invalidate(invalidations))


def _current(session: Any) -> Any:
    """The innermost savepoint, else the transaction; None before it has begun."""
    return session.get_nested_transaction() or session.get_transaction()


def _around(savepoint: Any) -> Any:
    """The savepoint or transaction in which a savepoint was made."""
    parent = savepoint.parent
    while not parent.nested and parent.parent is not None:
        parent = parent.parent
    return parent
