"""What the child of a fork must not share with its parent: connections, held locks, counts to deliver."""

from __future__ import annotations

import os
from typing import Any
from weakref import WeakKeyDictionary

_methods: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def call_in_child(owner: object, method: str) -> None:
    """Call a method of ``owner`` in the child of each fork, in the order of these requests.

    It must need no lock that another thread may have held at the fork. ``owner`` is not kept alive.
    """
    _methods[owner] = method


def _in_child() -> None:
    for owner, method in tuple(_methods.items()):
        getattr(owner, method)()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_child)
