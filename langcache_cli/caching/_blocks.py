"""The ``with`` blocks of caches that the running code is in, such as ``with cache.bypassed():``.

A task that is created in a block is in it, too, as it has a copy of the context variables, until the block
ends: from then on it is as if the task had been created outside.
"""

from __future__ import annotations

from contextvars import ContextVar
from enum import Enum
from typing import Any


class Mode(Enum):
    """What calls in a block do otherwise than usual."""

    BYPASSED = "bypassed"
    """They neither read nor store."""

    REFRESHING = "refreshing"
    """They load, and replace what is stored."""


class Block:
    """One block, from its beginning to its end."""

    __slots__ = ("is_open", "manager", "mode", "owner", "record")

    def __init__(self, owner: object, mode: Mode | None, record: Any, *, manager: object = None) -> None:
        """Prepare.

        Args:
            owner: What the block belongs to.
            mode: What calls in it do.
            record: Called with what it records.
            manager: The context manager that makes it; it may make others at the same time.
        """
        self.owner = owner
        self.manager = manager
        self.mode = mode
        self.record = record
        self.is_open = False

    def enter(self) -> None:
        """The code that follows is in the block."""
        self.is_open = True
        _around.set((*_around.get(), self))

    def leave(self) -> None:
        """End the block, also for tasks that were created in it."""
        self.is_open = False
        _around.set(tuple(block for block in _around.get() if block is not self))


_around: ContextVar[tuple[Block, ...]] = ContextVar("langcache_blocks", default=())

recorded_call: ContextVar[Any] = ContextVar("langcache_recorded_call", default=None)
"""The call of a cached function that the running code is part of, if calls are recorded."""


def blocks_of(owner: object) -> list[Block]:
    """The open blocks of one owner around the running code, the outermost first."""
    around = _around.get()
    return [block for block in around if block.owner is owner and block.is_open] if around else []


def block_of(manager: object) -> Block | None:
    """The innermost open block around the running code that a context manager has made."""
    return next(
        (block for block in reversed(_around.get()) if block.manager is manager and block.is_open), None
    )


def leave_all_blocks() -> None:
    """Forget the blocks around the running code, in a context of its own."""
    _around.set(())
    recorded_call.set(None)
