"""Tasks that belong to this package alone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
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
