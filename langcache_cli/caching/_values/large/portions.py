"""Work on large values in portions, between which the event loop runs.

Neither a thread nor a C function keeps others from waiting: whatever builds Python objects holds the GIL.
So large values are encoded, compared, compressed and decoded in steps of a few milliseconds, in the thread of
the event loop, where the application's validators and serializers expect to run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from time import perf_counter
from typing import Generic, TypeVar

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Work that may be interrupted wherever it yields, and returns its result."""

SLICE_SECONDS = 0.003
"""The event loop runs after so long. One step more may be under way then."""

PORTION_BYTES = 32 * 1024
"""About so many bytes of JSON are one step."""

LARGE_BYTES = 128 * 1024
"""Longer JSON is decoded in portions."""


async def in_portions(steps: Steps[T]) -> T:
    """Run steps to their end, and the event loop in between."""
    started = perf_counter()
    run = _Run(steps)
    for _ in run:
        if perf_counter() - started > SLICE_SECONDS:
            await asyncio.sleep(0)  # the other tasks of the event loop run
            started = perf_counter()
    return run.result


def at_once(steps: Steps[T]) -> T:
    """Run steps to their end."""
    run = _Run(steps)
    for _ in run:
        pass
    return run.result


class _Run(Generic[T]):
    """Iterates over steps and keeps their result, which a loop would drop."""

    result: T

    def __init__(self, steps: Steps[T]) -> None:
        self._steps = steps

    def __iter__(self) -> Iterator[None]:
        self.result = yield from self._steps
