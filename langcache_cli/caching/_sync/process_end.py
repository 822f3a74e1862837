"""Calling a function when the process ends, in the several ways in which processes do."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable

_registered: set[Callable[[], None]] = set()


def call_at_process_end(function: Callable[[], None]) -> None:
    """Call a function once at the end of this process, perhaps more often; for a child of a fork ask again.

    Children of `multiprocessing` and the worker processes of Celery end with `os._exit`, so nothing that
    `atexit` knows is called there.
    """
    if function not in _registered:  # a child of a fork inherits what `atexit` knows
        _registered.add(function)
        atexit.register(function)
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        multiprocessing.util.Finalize(None, function, exitpriority=0)
    if (signals := sys.modules.get("celery.signals")) is not None:
        signals.worker_process_shutdown.connect(
            lambda **_: function(), weak=False, dispatch_uid="langcache-end"
        )
