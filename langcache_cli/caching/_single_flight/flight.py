"""One load per key inside a process: whoever needs it waits for the same task.

A load is found by its token, and the token is what Redis shows for the key. So a call that begins
after an invalidation can never join a load that began before it: that token is gone.
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
    """How a flight ended.

    Attributes:
        value: What the function returned, for the call that led.
        entry: The same as bytes, for those who joined; None if it could not be encoded.
        found: What Redis held when the lease was asked for; then nothing was loaded.
        failure: Why Redis does not hold the value, if the call that led is to be told.
    """

    value: Any = None
    entry: Entry | None = None
    found: bytes | None = None
    failure: CacheError | None = None


class Flight(Generic[R]):
    """A load under way, and those who wait for it."""

    def __init__(
        self,
        work: Coroutine[Any, Any, R],
        *,
        token: str,
        at_end: Callable[[], object],
        in_background: bool = False,
        ends_with_starter: bool = False,
    ) -> None:
        """Start ``work`` in a task of its own, with the context variables of the caller.

        Args:
            work: The load.
            token: What others find it by.
            at_end: Called when it has ended.
            in_background: It goes on when nobody waits for it.
            ends_with_starter: It uses what belongs to the call that began it, and ends with that call.
        """
        self.token = token
        self.in_background = in_background
        self.began = asyncio.get_running_loop().time()
        self._tied = ends_with_starter
        self._task = asyncio.create_task(work, name=f"langcache-load-{token}")
        self._task.add_done_callback(_retrieve)
        self._task.add_done_callback(lambda _: at_end())
        self._waiting = 0
        self._leader_left = False

    @property
    def task(self) -> asyncio.Task[R]:
        """What runs the load."""
        return self._task

    async def result(self) -> R:
        """Wait for the end as the call that began it.

        Raises:
            BaseException: Whatever the load raised.
        """
        await self._wait(leading=True)
        return self._task.result()

    async def join(self) -> R | None:
        """Wait for the end of a load that another call began.

        Returns:
            None when it was cancelled, or failed after that call had left, perhaps with the session it used.

        Raises:
            Exception: Whatever the load raised.
        """
        await self._wait(leading=False)
        if self._task.cancelled() or (self._leader_left and self._task.exception() is not None):
            return None
        return self._task.result()

    async def _wait(self, *, leading: bool) -> None:
        """Wait for the end. A cancelled waiter harms no other; the last one to leave cancels the load."""
        self._waiting += 1
        try:
            # not for the task itself: its cancellation would look like that of whoever waits
            await asyncio.wait([self._task])
        except asyncio.CancelledError:
            self._leader_left |= leading
            unwanted = self._waiting == 1 and not self.in_background
            if (unwanted or (leading and self._tied)) and not self._task.done():
                # Wait for the end: the function may be using the caller's session, which the caller is
                # about to close.
                self._task.cancel()
                await asyncio.wait([self._task])
            raise
        finally:
            self._waiting -= 1


class Joinable(Protocol):
    """What others can wait for: the load of one key."""

    @property
    def token(self) -> str:
        """That of its lease."""
        ...

    @property
    def began(self) -> float:
        """When, on the clock of the event loop."""
        ...

    async def join(self) -> LoadResult | None:
        """Wait for its end; see `Flight.join`."""
        ...


class FlightPart:
    """One key of a load that loads many."""

    def __init__(self, flight: Flight[list[LoadResult | Exception]], number: int, token: str) -> None:
        self.token = token
        self.began = flight.began
        self._flight = flight
        self._number = number

    async def join(self) -> LoadResult | None:
        """Wait for the end of the whole load; see `Flight.join`."""
        landings = await self._flight.join()
        if landings is None:
            return None
        landing = landings[self._number]
        if isinstance(landing, Exception):
            raise landing
        return landing


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Look at the outcome, which all who waited for it may have stopped waiting for."""
    if not task.cancelled():
        task.exception()
