"""Tasks that belong to this package alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")


def own_task(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, T],
    *,
    name: str,
    context: Context | None = None,
) -> asyncio.Task[T]:
    """Start a task of which an event loop says nothing if it is closed by hand while the task runs.

    The application cannot await or cancel such a task, and what it does is repeated when it is needed again.
    """
    task = loop.create_task(work, name=name, context=context)
    task._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001 - asyncio does so in `gather`
    return task


async def end_all(*owners: Callable[[], Iterable[asyncio.Task[Any]]]) -> None:
    """Cancel the tasks that owners name, also those that are begun while others end."""
    while ending := [task for tasks in owners for task in tasks()]:
        for task in ending:
            task.cancel()
        await asyncio.wait(ending)


def close_left(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """End the coroutines of tasks that a closed event loop has left.

    Otherwise the garbage collector does so, at any moment and in any thread, and runs their cleanup then.
    """
    for task in tasks:
        work = task.get_coro()
        if not task.done() and isinstance(work, Coroutine):
            with contextlib.suppress(RuntimeError):  # its cleanup would wait, or needs the event loop
                work.close()
