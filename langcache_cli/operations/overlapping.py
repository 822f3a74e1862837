"""Working on several batches at a time: while one is read, another is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

T = TypeVar("T")


async def overlapping(
    batches: AsyncGenerator[T, None], work: Callable[[T], Coroutine[Any, Any, None]], *, at_once: int
) -> None:
    """Do ``work`` for each batch, for no more than ``at_once`` of them at a time.

    Raises:
        BaseException: The first that ``batches`` or ``work`` raises; then the work under way is cancelled.
    """
    running: set[asyncio.Task[None]] = set()
    try:
        async with aclosing(batches):
            async for batch in batches:
                running.add(asyncio.create_task(work(batch)))
                while len(running) >= at_once:
                    running = await _after_next(running)
        while running:
            running = await _after_next(running)
    finally:
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


async def _after_next(running: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """What still runs when the next has ended."""
    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    errors = [error for task in done if (error := task.exception()) is not None]
    if errors:
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        raise errors[0]
    return running
