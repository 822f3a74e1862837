"""Which loads the running code is part of, and which loads wait for which: a load never waits for itself.

The function behind a cached call may call cached functions. Such a call must not wait for a load whose
function it is part of: neither directly (recursion), nor through another load that waits for that one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class LoadScope:
    """Loads whose function runs inside this context manager, found by the tokens of their leases."""

    __slots__ = ("_outer", "awaited", "tokens")

    def __init__(self, tokens: Collection[str]) -> None:
        self.tokens = tokens
        self.awaited: list[str] = []
        """The tokens of the loads that calls inside wait for."""

    def __enter__(self) -> None:
        _scopes.update(dict.fromkeys(self.tokens, self))
        self._outer = _around.get()
        _around.set((*self._outer, self))

    def __exit__(self, *_: object) -> None:
        for token in self.tokens:
            _scopes.pop(token, None)
        _around.set(self._outer)


_around: ContextVar[tuple[LoadScope, ...]] = ContextVar("langcache_loads_around", default=())

_scopes: dict[str, LoadScope] = {}
"""By token, of all event loops: a load may run another event loop in a thread."""


def is_nested() -> bool:
    """True inside the function of any load."""
    return bool(_around.get())


def is_inside(token: str) -> bool:
    """True if the running code is part of this load."""
    around = _around.get()
    return bool(around) and _scopes.get(token) in around


def waits_for_us(token: str) -> bool:
    """True if this load is one around the running code, or waits for one, perhaps through others."""
    around = _around.get()
    return bool(around) and any(_scopes.get(one) in around for one in reachable(token))


def reachable(token: str) -> set[str]:
    """A load, and all loads that it waits for, directly or through loads of this process."""
    found, pending = {token}, [token]
    while pending:
        scope = _scopes.get(pending.pop())
        if scope is not None:
            fresh = set(scope.awaited) - found
            found |= fresh
            pending += fresh
    return found


def held_up() -> list[str]:
    """The loads around the running code, and the loads of this process that wait for those."""
    around = _around.get()
    found = list(around)
    for scope in {id(scope): scope for scope in tuple(_scopes.values()) if scope.awaited}.values():
        awaited = set[str]().union(*map(reachable, scope.awaited))
        if scope not in around and any(_scopes.get(token) in around for token in awaited):
            found.append(scope)
    return [token for scope in found for token in scope.tokens]


@contextmanager
def waiting_for(token: str) -> Iterator[None]:
    """Inside, the loads around the running code wait for this one."""
    around = _around.get()
    for scope in around:
        scope.awaited.append(token)
    try:
        yield
    finally:
        for scope in around:
            scope.awaited.remove(token)


def leave_all() -> None:
    """Forget the loads around the running code, in a context of its own: they do not wait for it."""
    _around.set(())
