"""What the child of a fork must not share with its parent: connections, held locks, counts to deliver."""

from __future__ import annotations

import os
import threading
from typing import Any
from weakref import WeakKeyDictionary

_methods: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
_process = [os.getpid()]
"""The process that these methods were last called in."""


def call_in_child(owner: object, method: str) -> None:
    """Call a method of ``owner`` in the child of each fork, in the order of these requests.

    It must need no lock that another thread may have held at the fork. ``owner`` is not kept alive.
    """
    _methods[owner] = method


def notice_fork() -> None:
    """In the child of a fork that Python knows nothing of, do what is done at once in that of any other.

    All of it: an event loop that goes on would take replies for the parent from any connection.
    """
    if _process[0] != os.getpid():
        _in_child()


class ForkSafeLock:
    """A lock that is free in the child of a fork, whichever thread of the parent held it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        call_in_child(self, "_start_in_child")

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _start_in_child(self) -> None:
        self._lock = threading.Lock()


def _in_child() -> None:
    _process[0] = os.getpid()
    for owner, method in tuple(_methods.items()):
        getattr(owner, method)()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_child)
