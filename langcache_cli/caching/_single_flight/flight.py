"""One load under way, and the calls of this process that wait for it.

A load is found by its token, which is what Redis shows for the key. A call that begins after an invalidation
can therefore never join a load that began before it: that token is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from contextvars import copy_context
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from langcache_cli.caching._blocks import leave_all_blocks
from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._protocol.entry import Entry, parse
from langcache_cli.caching._protocol.failure import Failure
from langcache_cli.caching._single_flight.nesting import leave_all
from langcache_cli.caching._single_flight.shared_errors import own_copy
from langcache_cli.caching._tasks import own_task

R = TypeVar("R")


NOT_RUN = object()
"""In the place of a value: the function has not run."""


def wake_all(waiters: Iterable[asyncio.Future[None]]) -> None:
    """Resolve futures, all in this turn of the event loop."""
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


@dataclass(frozen=True, slots=True)
class LoadResult:
    """How a load, or the wait for one, ended.

    Attributes:
        value: What the function returned, for the call that started the load; `NOT_RUN` in a refresh that
            could not begin.
        entry: The same as bytes, for the calls that joined; None if it could not be encoded.
        found: Not None if there is no value and the caller must look again: the bytes stored now, or ``b""``
            if they are unknown.
        failure: Redis could not be asked, or does not hold the value. The call that started a refresh raises
            it; a call that joined runs the function if there is no entry either.
        failed: The load of another process ended without a value that can be stored.
        stored: The bytes of the entry; only in the place of ``entry``, in a load of many keys.
    """

    value: Any = None
    entry: Entry | None = None
    found: bytes | None = None
    failure: CacheError | None = None
    failed: Failure | None = None
    stored: bytes | None = None

    def with_entry(self) -> LoadResult:
        """The same result with the entry parsed."""
        if self.stored is None or self.entry is not None:
            return self
        found = parse(self.stored)
        return replace(self, entry=found if isinstance(found, Entry) else None)


class Flight(Generic[R]):
    """A load, and the calls that wait for it.

    It runs in the task of the call that started it (`run`), as the function would without a cache: with that
    call's context variables and its current task, and it is cancelled with that call. If other calls wait for
    it then, it is run once more, in a task of its own (`detach`).
    """

    def __init__(
        self,
        work: Callable[[], Coroutine[Any, Any, R]],
        *,
        token: str,
        at_end: Callable[[], object],
        wake: Callable[[Iterable[asyncio.Future[None]]], object] = wake_all,
        at_cancel: Callable[[], object] | None = None,
        in_background: bool = False,
        ends_with_starter: bool = False,
    ) -> None:
        """Prepare; `run` or `detach` must follow in the same turn of the event loop.

        Args:
            work: Runs the load.
            token: How other calls find it.
            at_end: Called when it has ended.
            wake: Resolves the futures of the calls that wait for it; see `Admission.resolve`.
            at_cancel: Called when its own task was cancelled, perhaps before its first step.
            in_background: Go on when no call waits for it.
            ends_with_starter: Never run it again: it uses the database session of the call that started it.
        """
        self.token = token
        self.in_background = in_background
        self._loop = asyncio.get_running_loop()
        self.began = self._loop.time()
        self._work = work
        self._wake = wake
        self._at_end = at_end
        self._at_cancel = at_cancel
        self._ends_with_starter = ends_with_starter
        self._task: asyncio.Task[R] | None = None
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._joiners: dict[asyncio.Future[None], None] = {}
        self._results: list[R] = []
        """The result, if there is one."""
        self._error: Exception | None = None
        self._traceback: TracebackType | None = None
        self._waiting = 0

    async def run(self) -> R:
        """Run the load as part of the call that started it.

        Raises:
            BaseException: Whatever the load raised.
        """
        self._waiting += 1
        try:
            result = await self._work()
        except asyncio.CancelledError:
            if self.runs_again:
                self.detach()
            else:
                self._end(None)
            raise
        except BaseException as error:  # KeyboardInterrupt, too: calls that have joined would wait for ever
            self._end(error)
            raise
        finally:
            self._waiting -= 1
        self._results.append(result)
        self._end(None)
        return result

    @property
    def runs_again(self) -> bool:
        """True if it will be run once more when it is cancelled with the call that started it."""
        return self._task is None and self._waiting > 1 and not self._ends_with_starter

    @property
    def task(self) -> asyncio.Task[R] | None:
        """The task of its own that runs it; None if that is the task of the call that started it."""
        return self._task

    def detach(self) -> asyncio.Task[R]:
        """Run the load in a task of its own, and return that."""
        context = copy_context()
        context.run(leave_all)
        context.run(leave_all_blocks)  # what one caller asks for is not for the others
        task = own_task(self._loop, self._work(), name=f"langcache-load-{self.token}", context=context)
        task.add_done_callback(self._task_ended)
        self._task = task
        return task

    async def join(self) -> R | None:
        """Wait for the end of the load. A cancelled waiter harms no other; the last one to leave cancels it.

        Returns:
            None if it was cancelled, perhaps with the call that started it.

        Raises:
            Exception: Whatever the load raised.
        """
        self._waiting += 1
        joiner = self._loop.create_future()
        try:
            if not self._ended.done():
                self._joiners[joiner] = None
                await joiner
        except asyncio.CancelledError:
            if self._waiting == 1 and not self.in_background:
                await self._cancel()
            raise
        finally:
            self._joiners.pop(joiner, None)
            self._waiting -= 1
        if self._error is not None:
            raise own_copy(self._error, self._traceback)
        return self._results[0] if self._results else None

    def cancel(self) -> None:
        """Cancel a load that runs in a task of its own."""
        if self._task is not None:
            self._task.cancel()

    async def _cancel(self) -> None:
        """Cancel the task and wait for its end; every further cancellation of the waiter is passed on."""
        while self._task is not None and not self._ended.done():
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([self._ended])

    def _task_ended(self, task: asyncio.Task[R]) -> None:
        if task.cancelled():
            if self._at_cancel is not None:
                self._at_cancel()
            self._end(None)
            return
        error = task.exception()
        if error is None:
            self._results.append(task.result())
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        if isinstance(error, Exception):
            self._error, self._traceback = error, error.__traceback__
        self._at_end()
        if not self._ended.done():
            self._ended.set_result(None)
            self._wake(self._joiners)


class Joinable(Protocol):
    """The load of one key, as other calls see it."""

    @property
    def token(self) -> str:
        """The token of its lease."""
        ...

    @property
    def began(self) -> float:
        """When it began, on the clock of the event loop."""
        ...

    @property
    def runs_again(self) -> bool:
        """See `Flight.runs_again`."""
        ...

    async def join(self) -> LoadResult | None:
        """Wait for its end; see `Flight.join`."""
        ...


class FlightPart:
    """One key of a load of many keys."""

    def __init__(self, flight: Flight[list[LoadResult | Exception]], number: int, token: str) -> None:
        self.token = token
        self.began = flight.began
        self._flight = flight
        self._number = number

    @property
    def runs_again(self) -> bool:
        """False: after a cancellation each call that joined loads what it needs."""
        return False

    @property
    def in_background(self) -> bool:
        """True if the whole load goes on when no call waits for it."""
        return self._flight.in_background

    def cancel(self) -> None:
        """Cancel the whole load, if it runs in a task of its own."""
        self._flight.cancel()

    async def join(self) -> LoadResult | None:
        """Wait for the end of the whole load; see `Flight.join`."""
        results = await self._flight.join()
        if results is None:
            return None
        result = results[self._number]
        if isinstance(result, Exception):
            raise own_copy(result, result.__traceback__)
        return result.with_entry()
