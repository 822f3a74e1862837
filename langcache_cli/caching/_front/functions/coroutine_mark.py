"""Makes an object with an ``async`` ``__call__`` pass for the ``async def`` function that it wraps.

Test doubles, schedulers and job queues ask `inspect.iscoroutinefunction` or `asyncio.iscoroutinefunction`.
"""

from __future__ import annotations

import asyncio.coroutines
import inspect
import sys
from collections.abc import Callable
from typing import Any


def mark_as_coroutine_function(wrapper: Any, function: Callable[..., Any]) -> None:
    """Mark ``wrapper``, which wraps ``function``."""
    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(wrapper)
        return
    vars(wrapper)["_is_coroutine"] = vars(asyncio.coroutines)["_is_coroutine"]  # what asyncio looks for
    # inspect of Python 3.11 has no mark. It looks at the code of what has all attributes of a function.
    for name in ("__code__", "__defaults__", "__kwdefaults__"):
        setattr(wrapper, name, getattr(inspect.unwrap(function), name, None))
