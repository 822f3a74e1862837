"""One load under way, and the calls of this process that wait for it.

A load is found by its token, which is what Redis shows for the key. A call that begins after an invalidation
can therefore never join a load that began before it: that token is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._protocol.entry import Entry

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class LoadResult:
    """How a load, or the wait for one, ended.

    Attributes:
        value: What the function returned, for the call that started the load.
        entry: The same as bytes, for the calls that joined; None if it could not be encoded.
        found: Not None if there is no value and the caller must look again: the bytes stored now, or ``b""``
            if they are unknown.
        failure: Redis could not be asked, or does not hold the value. The call that started a refresh raises
            it; a call that joined runs the function if there is no entry either.
    """

    value: Any = None
    entry: Entry | None = None
    found: bytes | None = None
    failure: CacheError | None = None


class Flight(Generic[R]):
    """A load in a task of its own, and the calls that wait for it."""

    def __init__(
        self,
        work: Coroutine[Any, Any, R],
        *,
        token: str,
        at_end: Callable[[], object],
        in_background: bool = False,
        ends_with_starter: bool = False,
    ) -> None:
        """Start ``work`` with the context variables of the caller.

        Args:
            work: The load.
            token: How other calls find it.
            at_end: Called when it has ended.
            in_background: Go on when no call waits for it.
            ends_with_starter: Cancel it with the call that started it, whose database session it uses.
        """
        self.token = token
        self.in_background = in_background
        self.began = asyncio.get_running_loop().time()
        self._ends_with_starter = ends_with_starter
        self._task = asyncio.create_task(work, name=f"langcache-load-{token}")
        self._task.add_done_callback(_retrieve)
        self._task.add_done_callback(lambda _: at_end())
        self._waiting = 0
        self._starter_left = False

    @property
    def task(self) -> asyncio.Task[R]:
        """The task that runs the load."""
        return self._task

    async def wait_as_starter(self) -> R:
        """Wait for the end, as the call that started the load.

        Raises:
            BaseException: Whatever the load raised.
        """
        await self._wait(as_starter=True)
        return self._task.result()

    async def join(self) -> R | None:
        """Wait for the end of a load that another call started.

        Returns:
            None if it was cancelled, or failed after its starter had left, perhaps with the session it used.

        Raises:
            Exception: Whatever the load raised.
        """
        await self._wait(as_starter=False)
        if self._task.cancelled() or (self._starter_left and self._task.exception() is not None):
            return None
        return self._task.result()

    async def _wait(self, *, as_starter: bool) -> None:
        """Wait for the end. A cancelled waiter harms no other; the last one to leave cancels the load."""
        self._waiting += 1
        try:
            # asyncio.wait, not the task itself: a cancelled task would look like a cancelled waiter
            await asyncio.wait([self._task])
        except asyncio.CancelledError:
            self._starter_left |= as_starter
            unwanted = self._waiting == 1 and not self.in_background
            if (unwanted or (as_starter and self._ends_with_starter)) and not self._task.done():
                # Wait for its end: the function may be using the caller's session, which is about to close.
                self._task.cancel()
                await asyncio.wait([self._task])
            raise
        finally:
            self._waiting -= 1


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

    async def join(self) -> LoadResult | None:
        """Wait for the end of the whole load; see `Flight.join`."""
        results = await self._flight.join()
        if results is None:
            return None
        result = results[self._number]
        if isinstance(result, Exception):
            raise result
        return result


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Mark the outcome as retrieved: all waiters may have been cancelled, and asyncio must not log it."""
    if not task.cancelled():
        task.exception()
