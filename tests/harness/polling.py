"""Wait for a condition, never for a time: a test that polls is as fast as the thing it waits for."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar, cast

T = TypeVar("T")

WITHIN_SECONDS = 8.0
"""Enough for a busy machine, and less than a lease of the tests lasts: waiting for the end of one fails."""


def eventually(condition: Callable[[], T], *, within: float = WITHIN_SECONDS, every: float = 0.01) -> T:
    """Call `condition` until it is truthy and return that value; fail after `within` seconds.

    The failure shows the last value. An exception in `condition` is a failure at once: a poll that swallows
    errors hides the bug it waits for.
    """
    for _ in _attempts(within):
        value = condition()
        if value:
            return value
        time.sleep(every)
    raise AssertionError(_never_true(condition, value, within))


async def aeventually(
    condition: Callable[[], T | Awaitable[T]], *, within: float = WITHIN_SECONDS, every: float = 0.01
) -> T:
    """The same without blocking the event loop; `condition` may be a function or a coroutine function."""
    for _ in _attempts(within):
        answer = condition()
        value = cast("T", await answer if inspect.isawaitable(answer) else answer)
        if value:
            return value
        await asyncio.sleep(every)
    raise AssertionError(_never_true(condition, value, within))


def _attempts(within: float) -> Iterator[None]:
    """One attempt at least, and one that begins after the deadline: a slow machine gets its last look."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        yield
    yield


def _never_true(condition: Callable[[], object], value: object, within: float) -> str:
    code = getattr(condition, "__code__", None)
    where = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
    name = getattr(condition, "__qualname__", repr(condition))
    return f"{name}{where} was not true within {within:g} s; its last value was {value!r}"
