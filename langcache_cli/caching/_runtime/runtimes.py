"""One runtime for each event loop that uses a cache; none outlives its loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

from langcache_cli.caching._fork import call_in_child
from langcache_cli.caching._runtime.loop_runtime import Runtime

logger = logging.getLogger("langcache_cli.caching")


_of_parents: list[Runtime] = []
"""Kept for ever: the garbage collector would close what they have, in a loop of another process."""


class Runtimes:
    """The runtimes of one cache, by event loop. Loops may run in several threads at a time."""

    def __init__(self, make: Callable[[], Runtime]) -> None:
        """Use ``make``, called in the loop, for each new runtime."""
        self._make = make
        self._all: list[Runtime] = []
        self.latest: Runtime | None = None
        """The runtime that was asked for last."""
        self._lock = threading.Lock()
        call_in_child(self, "_start_in_child")

    def __len__(self) -> int:
        return len(self._all)

    def current(self) -> Runtime:
        """The runtime of the running event loop."""
        loop = asyncio.get_running_loop()
        latest = self.latest  # read once: another thread may replace it at any moment
        if latest is None or latest.loop is not loop:
            with self._lock:
                self.latest = latest = self._of(loop)
        return latest

    def of(self, loop: asyncio.AbstractEventLoop | None) -> Runtime | None:
        """The runtime of an event loop, if there is one; from any thread."""
        return next((runtime for runtime in tuple(self._all) if runtime.loop is loop), None)

    def running_loop(self) -> asyncio.AbstractEventLoop | None:
        """An event loop that uses the cache and runs, in any thread."""
        return next((runtime.loop for runtime in tuple(self._all) if runtime.loop.is_running()), None)

    async def aclose(self) -> None:
        """Close the runtime of the running event loop, if there is one."""
        loop = asyncio.get_running_loop()
        with self._lock:
            ending = [runtime for runtime in self._all if runtime.loop is loop]
            self._all = [runtime for runtime in self._all if runtime.loop is not loop]
            self.latest = None
        for runtime in ending:
            await runtime.aclose()

    def _start_in_child(self) -> None:
        self._lock = threading.Lock()
        here = asyncio._get_running_loop()  # noqa: SLF001 - exported for such uses
        for runtime in self._all:
            runtime.client.leave_to_parent()
            if runtime.loop.is_running() and runtime.loop is not here:
                _of_parents.append(runtime)  # its thread has stayed in the parent
        self._all = [runtime for runtime in self._all if runtime not in _of_parents]
        if self.latest in _of_parents:
            self.latest = None

    def _of(self, loop: asyncio.AbstractEventLoop) -> Runtime:
        for runtime in tuple(self._all):
            if runtime.loop is loop:
                return runtime
            if runtime.loop.is_closed():
                logger.warning(
                    "an event loop ended without 'await cache.aclose()'; its connections were dropped"
                )
                runtime.abandon()
                self._all.remove(runtime)
        runtime = self._make()
        runtime.end_with_loop(self.aclose)
        self._all.append(runtime)
        return runtime
