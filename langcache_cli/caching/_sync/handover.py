"""A call of a thread without an event loop: it runs on the background loop, its function in the thread."""

from __future__ import annotations

import asyncio
import os
from asyncio import _get_running_loop
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from queue import SimpleQueue
from threading import current_thread
from types import TracebackType
from typing import Any, NamedTuple, ParamSpec, TypeVar

from langcache_cli.caching._errors import CacheUnavailableError, is_interruption
from langcache_cli.caching._sync.background_loop import background_loop, submit
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

    __slots__ = (
        "_given",
        "_has_begun",
        "_inbox",
        "_is_left",
        "_raised",
        "_returned",
        "_task",
        "_traceback",
        "loop",
        "thread",
    )

    def __init__(self) -> None:
        """Prepare.

        Raises:
            CacheUnavailableError: There is no background loop, and none can be started.
        """
        self.loop = background_loop.loop()
        self.thread = current_thread()
        self._inbox: SimpleQueue[_Run | _Outcome | None] = SimpleQueue()
        self._task: asyncio.Task[None] | None = None
        self._given: Context | None = None
        """The context of the call, in which this object does not stand."""
        self._has_begun = False
        self._is_left = False
        """True once the thread no longer waits: what begins after that would be run for nobody."""
        self._raised: Exception | None = None
        """What the function has raised in this thread."""
        self._returned: _Outcome | None = None
        """What it has returned."""
        self._traceback: TracebackType | None = None

    def result_of(
        self,
        work: Callable[[], Coroutine[Any, Any, T]],
        again: Callable[[], Coroutine[Any, Any, T]] | None = None,
        *,
        may_repeat: bool = False,
    ) -> T:
        """Run ``work`` on the background loop, and wait for its end.

        Args:
            work: Is called on the loop.
            again: The same for another loop, if this one ends before ``work`` has; ``work`` if None.
            may_repeat: True if that may be done even after ``work`` has begun, as its function, if it has
                one, runs in this thread.

        Raises:
            CacheUnavailableError: The process ends, and what ``work`` has done is not known.
            BaseException: Whatever it has raised. What a signal handler raises in this thread meanwhile
                cancels the work.
        """
        self._given = copy_context()
        context = copy_context()
        context.run(_caller.set, self)
        try:  # an interruption may come in the next calls, too, before or after the work was queued
            background_loop.calls.add(self)
            if not submit(self.loop, self._start, work, context=context):
                self.give_up()
            while isinstance(message := self._inbox.get(), _Run):
                self._run(message)
            if message is None:
                message = self._outcome_without_loop(again or work, may_repeat=may_repeat)
        except BaseException:
            self._is_left = True
            submit(self.loop, self._cancel)
            raise
        finally:
            background_loop.calls.discard(self)
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

    def give_up(self) -> None:
        """Let the thread go on: the loop has ended."""
        self._inbox.put(None)

    def _outcome_without_loop(
        self, again: Callable[[], Coroutine[Any, Any, Any]], *, may_repeat: bool
    ) -> _Outcome:
        self._is_left = True
        if self._returned is not None:
            return self._returned
        if self._raised is not None:
            return _Outcome(None, self._raised)
        if self._has_begun and not may_repeat:
            return _Outcome(None, CacheUnavailableError("the process ends", target="thread"))
        return _Outcome(Handover().result_of(again, may_repeat=may_repeat), None)

    async def run_in_thread(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Called on the loop: let the waiting thread run a function."""
        outcome = self.loop.create_future()
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
            with _inside(run.context, self._given):
                value = run.function(*run.args, **run.kwargs)
        except Exception as raised:
            if is_interruption(raised) or pid != os.getpid():
                raise
            error, self._raised = raised, raised
            self._traceback = raised.__traceback__
        if pid != os.getpid():  # the function has forked: the loop and its future are the parent's
            self._inbox = SimpleQueue()
            self._inbox.put(_Outcome(value, None))
            return
        if error is None:
            self._returned = _Outcome(value, None)
        if not submit(self.loop, _settle, run.outcome, value, error):
            self.give_up()

    def _start(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        if self._is_left:
            return
        self._has_begun = True
        self._task = own_task(self.loop, self._whole(work), name="langcache-sync")

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _whole(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        try:
            outcome = _Outcome(await work(), None)
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise  # the thread has left; or the process ends: see `BackgroundLoop.end`
            outcome = _Outcome(None, error)  # raised by the function
        except BaseException as error:  # noqa: BLE001 - SystemExit, too: it would end the loop
            outcome = _Outcome(None, error)
        finally:
            self._task = None  # its context refers to this object
        self._inbox.put(outcome)


_caller: ContextVar[Handover | None] = ContextVar("langcache_caller", default=None)


@contextmanager
def _inside(context: Context, given: Context | None) -> Iterator[None]:
    """Inside, the context variables of this package have the values that they have in a task of the loop.

    A call in the function is so part of the load around it. So have those that were set around the function
    since, such as the span of the load. All other variables are those of the thread.
    """
    ours = [
        (one, value)
        for one, value in context.items()
        if one is not _caller and (one.name.startswith(OURS) or _is_new(one, value, given))
    ]
    tokens = [(variable, variable.set(value)) for variable, value in ours]
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)


def _is_new(variable: ContextVar[Any], value: Any, given: Context | None) -> bool:
    """True for what was set around the function since the call was handed over: the span of a load."""
    return given is not None and given.get(variable, _caller) is not value


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
