"""Who does what is noted as an event: the user and host of the process, unless it acts for somebody else."""

from __future__ import annotations

import getpass
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import NamedTuple

NOT_NOTED = ""
"""With this nothing is noted."""


class Actor(NamedTuple):
    """Who acts.

    Attributes:
        by: In words; None for the user and the host of the process.
        via: With what: ``api`` for code of an application, ``http``, or ``langcache``.
    """

    by: str | None
    via: str


_actor: ContextVar[Actor | None] = ContextVar("langcache_actor", default=None)


@contextmanager
def acting_as(by: str | None = None, *, via: str) -> Iterator[None]:
    """Note what is done inside under this name.

    Args:
        by: Who; None for the user and the host of the process.
        via: With what.
    """
    token = _actor.set(Actor(by, via))
    try:
        yield
    finally:
        _actor.reset(token)


@contextmanager
def without_events() -> Iterator[None]:
    """Note nothing of what is done inside, such as the removal of keys that nobody else uses."""
    with acting_as(via=NOT_NOTED):
        yield


def current_actor() -> tuple[str, str]:
    """Who acts now, and with what."""
    actor = _actor.get() or Actor(None, "api")
    return actor.by or _process(), actor.via


def program_name() -> str:
    """What runs in this process, such as ``uvicorn``."""
    program = Path(sys.argv[0] if sys.argv else "")
    return (program.parent.name if program.stem == "__main__" else program.stem) or "python"


@cache
def _process() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user without a name, as in many containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
