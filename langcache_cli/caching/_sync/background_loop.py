"""The event loop of callers that have none: one in each process, in a daemon thread, started at first use.

A fork leaves the thread in the parent. It stands still during the fork, between two callbacks, so that the
child inherits no half-made change; the first call in the child starts a loop of its own.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable
from contextvars import Context
from time import monotonic, sleep
from typing import Any, Protocol

from langcache_cli.caching._errors import CacheUnavailableError
from langcache_cli.caching._fork import call_in_child
from langcache_cli.caching._sync.process_end import call_at_process_end

logger = logging.getLogger("langcache_cli.caching")

FORK_SECONDS = 0.5
"""So long at most a fork waits until the loop stands still; a blocked one is forked as it is."""

END_SECONDS = 5.0
"""So long at most the end of the process waits for the last deliveries, which have a budget of their own."""

CALLS_SECONDS = 5.0
"""So long at most the end of the process waits for calls of threads for which Python waits anyway."""

if sys.platform == "win32":
    _SystemLoop = asyncio.ProactorEventLoop
else:
    _SystemLoop = asyncio.SelectorEventLoop  # uvloop's does not survive a fork while it runs


class _Loop(_SystemLoop):
    def __del__(self) -> None:
        """Say nothing: in the child of a fork it can never be closed, and at exit it may still run."""


class Call(Protocol):
    """A call of a thread, which waits for the loop."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that it waits for."""
        ...

    @property
    def thread(self) -> threading.Thread:
        """The thread."""
        ...

    def give_up(self) -> None:
        """The loop has ended, or is about to: the thread must not wait any longer."""
        ...


class BackgroundLoop:
    """Starts the loop, and ends it with the process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler, or `__del__`, may call while it is held
        self._loop: _Loop | None = None
        self._thread: threading.Thread | None = None
        self.calls: set[Call] = set()
        """The calls that wait, of all threads."""
        self._forks: dict[int, threading.Event] = {}
        """What the loop waits for, by the thread that forks."""
        self._of_parents: list[_Loop] = []
        """Kept for ever: closing one would take sockets out of the loop of the parent."""
        call_in_child(self, "_start_in_child")
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._stand_still, after_in_parent=self._go_on)

    @property
    def running(self) -> asyncio.AbstractEventLoop | None:
        """The loop, if it was started."""
        return self._loop

    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, started if need be.

        Raises:
            CacheUnavailableError: The system allows no more threads.
        """
        loop = self._loop
        return loop if loop is not None else self._start()

    def end(self) -> None:
        """Close what the loop has, and end it; the next call starts another one.

        Children of `multiprocessing` come here while their threads still work. Daemon threads are left as
        they are: Python ends them without a word.
        """
        waits_until = monotonic() + CALLS_SECONDS
        self._await_calls(self._loop, waits_until)  # what they call meanwhile needs this loop, too
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None or thread is threading.current_thread():
            return
        self._await_calls(loop, waits_until)
        try:
            self._end(loop, thread)
        finally:
            for call in self._calls(loop):
                call.give_up()

    def _end(self, loop: _Loop, thread: threading.Thread) -> None:
        ended = threading.Event()
        loop.call_soon_threadsafe(lambda: loop.create_task(_close(loop, ended), name="langcache-end"))
        if not ended.wait(END_SECONDS):
            logger.warning("the background event loop did not end within %g s", END_SECONDS)
            return
        _stop(loop, thread)

    def _calls(self, loop: _Loop | None) -> set[Call]:
        this = threading.current_thread()
        return {
            call
            for call in self.calls.copy()
            if call.loop is loop and call.thread is not this and not call.thread.daemon
        }

    def _await_calls(self, loop: _Loop | None, until: float) -> None:
        calls = self._calls(loop)
        while not calls.isdisjoint(self.calls) and monotonic() < until:
            sleep(0.005)

    def _start(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = _Loop()
                # a daemon: it would keep the process from ending
                thread = threading.Thread(target=_run, args=(loop,), name="langcache-loop", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    loop.close()
                    raise CacheUnavailableError(
                        f"no event loop for synchronous calls: {error}", target="thread"
                    ) from error
                if self._loop is None:
                    self._loop, self._thread = loop, thread
                    call_at_process_end(self.end)
                else:  # a signal handler in this thread has called meanwhile
                    _stop(loop, thread)
            return self._loop

    def _stand_still(self) -> None:
        """Before a fork: wait until the loop is between two callbacks, and keep it there."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None or thread is threading.current_thread():
            return
        is_still, may_go_on = threading.Event(), threading.Event()

        def wait() -> None:
            is_still.set()
            may_go_on.wait(2 * FORK_SECONDS)

        self._forks[threading.get_ident()] = may_go_on
        loop.call_soon_threadsafe(wait)
        is_still.wait(FORK_SECONDS)

    def _go_on(self) -> None:
        if (may_go_on := self._forks.pop(threading.get_ident(), None)) is not None:
            may_go_on.set()

    def _start_in_child(self) -> None:
        loop, self._loop, self._thread = self._loop, None, None
        self._lock, self._forks = threading.RLock(), {}
        self.calls = set()
        if loop is not None:
            loop.set_debug(enabled=False)  # it would complain about what is taken away from it in this thread
            self._of_parents.append(loop)


def submit(
    loop: asyncio.AbstractEventLoop,
    function: Callable[..., object],
    *args: Any,
    context: Context | None = None,
) -> bool:
    """Let a loop call ``function``, from another thread; False if it is closed."""
    try:
        loop.call_soon_threadsafe(function, *args, context=context)
    except RuntimeError:
        if not loop.is_closed():
            raise
        return False
    return True


def _run(loop: _Loop) -> None:
    while True:
        try:
            loop.run_forever()
        except BaseException:  # SystemExit of a function of the application, which ended no thread of its own
            logger.exception("the background event loop goes on after an error")
        else:
            return


def _stop(loop: _Loop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    thread.join(END_SECONDS)
    if not thread.is_alive():
        loop.close()


async def _close(loop: _Loop, ended: threading.Event) -> None:
    try:
        await loop.shutdown_asyncgens()  # each cache closes what it holds for this loop: see `LoopEnd`
        left = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
    finally:
        ended.set()


background_loop = BackgroundLoop()
"""The one of this process."""
