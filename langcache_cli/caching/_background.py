"""Short background work of one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._tasks import own_task


class Background:
    """The tasks of one owner that run in the background, until it is closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, name: str = "langcache-background") -> None:
        """Start without tasks; ``name`` is that of each."""
        self._name = name
        self._loop = loop
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run work that no caller waits for.

        A `CacheError` is ignored: the next attempt repeats the work. Any other error goes to the exception
        handler of the event loop, which logs it with its traceback.
        """
        task = own_task(self._loop, work, name=self._name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Include a task of another owner, who looks at its outcome."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, seconds: float) -> None:
        """Give the tasks at most ``seconds`` to end by themselves."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def tasks(self) -> list[asyncio.Task[Any]]:
        """The tasks that still run."""
        return list(self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, CacheError):
            self._loop.call_exception_handler(
                {"message": "background work of the cache failed", "exception": error}
            )
