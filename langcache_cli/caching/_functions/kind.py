"""Which functions can be cached: ``async def`` and plain ``def`` ones that return their value."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def is_synchronous(function: Callable[..., Any], name: str) -> bool:
    """True for a plain ``def`` function, False for an ``async def`` one.

    Args:
        function: The decorated function.
        name: Its name, for the message.

    Raises:
        TypeError: It is a generator function, or another decorator hides that it is asynchronous.
    """
    if inspect.iscoroutinefunction(function):
        return False
    written = inspect.unwrap(function)
    if inspect.isgeneratorfunction(written) or inspect.isasyncgenfunction(written):
        raise TypeError(f"{name} must return its value; it is a generator function, which yields")
    if inspect.iscoroutinefunction(written):
        raise TypeError(
            f"{name} must be an 'async def' function: another decorator has made a plain function of it, "
            "which returns a coroutine; write @cached(...) below that decorator"
        )
    return True
