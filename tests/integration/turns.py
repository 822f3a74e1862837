"""Counting what happens within one turn of the event loop."""

import asyncio
from typing import Any

from langcache_cli.caching._runtime.loop_runtime import CALLS_PER_TURN

MOST_IN_A_TURN = 4 * CALLS_PER_TURN[1]
"""`Turns` may count parts of two turns as one, and the replies to requests of several may come together."""


class Turns:
    """How often something happens within one turn of the event loop."""

    def __init__(self) -> None:
        self.most = 0
        self._now = 0

    def count(self) -> None:
        if not self._now:
            asyncio.get_running_loop().call_soon(self._end)
        self._now += 1
        self.most = max(self.most, self._now)

    def _end(self) -> None:
        self._now = 0


def counted(monkeypatch: Any, owner: object, name: str) -> Turns:
    """Count the calls of a method."""
    turns, method = Turns(), getattr(owner, name)

    def counting(*args: Any, **kwargs: Any) -> Any:
        turns.count()
        return method(*args, **kwargs)

    monkeypatch.setattr(owner, name, counting)
    return turns
