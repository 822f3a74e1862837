"""A call of a thread without an event loop: it runs on the background loop, its function in the thread."""

from __future__ import annotations

import asyncio
import os
from asyncio import _get_running_loop
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from queue import SimpleQueue
from types import TracebackType
from typing import Any, NamedTuple, ParamSpec, TypeVar

from langcache_cli.caching._sync.background_loop import background_loop
from langcache_cli.caching._tasks import own_task

OURS = "langcache_"
"""How the names of this package's context variables begin."""

P = ParamSpec("P")
T = TypeVar("T")


class _Run(NamedTuple):
    """A function that the waiting thread is to run."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    context: Context
    outcome: asyncio.Future[Any]


class _Outcome(NamedTuple):
    value: Any
    error: BaseException | None


class Handover:
    """One blocking call."""

    __slots__ = ("_inbox", "_is_left", "_loop", "_raised", "_task", "_traceback")

    def __init__(self) -> None:
        """Prepare.

        Raises:
            CacheUnavailableError: There is no background loop, and none can be started.
        """
        self._loop = background_loop.loop()
        self._inbox: SimpleQueue[_Run | _Outcome] = SimpleQueue()
        self._task: asyncio.Task[None] | None = None
        self._is_left = False
        """True once the thread no longer waits: what begins after that would be run for nobody."""
        self._raised: Exception | None = None
        """What the function has raised in this thread."""
        self._traceback: TracebackType | None = None

    def result_of(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run ``work`` on the background loop, and wait for its end.

        Raises:
            BaseException: Whatever it has raised. What a signal handler raises in this thread meanwhile
                cancels the work.
        """
        context = copy_context()
        context.run(_caller.set, self)
        try:  # an interruption may come in the next call, too, before or after the work was queued
            if not self._submit(self._start, work, context=context):
                return Handover().result_of(work)  # the process ends: perhaps there can be another loop
            while isinstance(message := self._inbox.get(), _Run):
                self._run(message)
        except BaseException:
            self._is_left = True
            self._submit(self._cancel)
            raise
        if message.error is None:
            value: T = message.value
            return value
        raised, self._raised = self._raised, None
        error = message.error if raised is None else raised.with_traceback(self._traceback)
        self._traceback = None
        try:
            raise error
        finally:
            del error, raised, message  # or the traceback would hold itself through this frame

    async def run_in_thread(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Called on the loop: let the waiting thread run a function."""
        outcome = self._loop.create_future()
        if self._is_left:
            self._cancel()
        self._inbox.put(_Run(function, args, kwargs, copy_context(), outcome))
        return await outcome

    @property
    def is_current(self) -> bool:
        """True in the task whose end the thread waits for."""
        return self._task is not None and asyncio.current_task() is self._task

    def _run(self, run: _Run) -> None:
        """Run the function in this thread, and tell the loop; an interruption is raised here."""
        value, error, pid = None, None, os.getpid()
        try:
            with _inside(run.context):
                value = run.function(*run.args, **run.kwargs)
        except Exception as raised:
            if _is_interruption(raised) or pid != os.getpid():
                raise
            error, self._raised = raised, raised
            self._traceback = raised.__traceback__
        if pid != os.getpid():  # the function has forked: the loop and its future are the parent's
            self._inbox = SimpleQueue()
            self._inbox.put(_Outcome(value, None))
            return
        self._submit(_settle, run.outcome, value, error)

    def _submit(self, function: Callable[..., object], *args: Any, context: Context | None = None) -> bool:
        """Let the loop call ``function``; False if it is closed."""
        try:
            self._loop.call_soon_threadsafe(function, *args, context=context)
        except RuntimeError:
            if not self._loop.is_closed():
                raise
            return False
        return True

    def _start(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        if self._is_left:
            return
        self._task = own_task(self._loop, self._whole(work), name="langcache-sync")

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _whole(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        try:
            outcome = _Outcome(await work(), None)
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise  # the thread has left; or the process ends, and a daemon thread must not say a word
            outcome = _Outcome(None, error)  # raised by the function
        except BaseException as error:  # noqa: BLE001 - SystemExit, too: it would end the loop
            outcome = _Outcome(None, error)
        finally:
            self._task = None  # its context refers to this object
        self._inbox.put(outcome)


_caller: ContextVar[Handover | None] = ContextVar("langcache_caller", default=None)


@contextmanager
def _inside(context: Context) -> Iterator[None]:
    """Inside, the context variables of this package have the values that they have in a task of the loop.

    A call in the function is so part of the load around it. All other variables are those of the thread.
    """
    ours = [
        (one, value) for one, value in context.items() if one.name.startswith(OURS) and one is not _caller
    ]
    tokens = [(variable, variable.set(value)) for variable, value in ours]
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)


async def run_in_caller(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """Run a synchronous function in the thread that waits for this task.

    If none does, as when `langcache warm` loads it, it runs in a thread of the event loop's pool.
    """
    caller = _caller.get()
    if caller is not None and caller.is_current:
        return await caller.run_in_thread(function, args, kwargs)
    return await asyncio.to_thread(function, *args, **kwargs)


def refuse_in_event_loop(name: str, instead: str) -> None:
    """Refuse to block an event loop that runs on this thread.

    Args:
        name: What was called.
        instead: What to write there.

    Raises:
        RuntimeError: There is one.
    """
    if _get_running_loop() is not None:
        raise RuntimeError(f"{name} would block the event loop of this thread; write {instead}")


def _settle(outcome: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if outcome.done():  # cancelled
        return
    if error is None:
        outcome.set_result(value)
    elif isinstance(error, StopIteration):  # a future cannot hold one; the thread raises its own
        outcome.set_exception(RuntimeError("the function raised StopIteration"))
    else:
        outcome.set_exception(error)


def _is_interruption(error: Exception) -> bool:
    """True for what Celery raises in the middle of a task that takes too long: no failure of the function."""
    return any(kind.__name__ == "SoftTimeLimitExceeded" for kind in type(error).__mro__)
