"""One load per key inside a process: whoever needs it waits for the same task.

A load is found by its token, and the token is what Redis shows for the key. So a call that begins
after an invalidation can never join a load that began before it: that token is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from langcache_cli.caching._entry import Entry


class AbandonedLoadError(Exception):
    """The load failed after the call that began it was cancelled, perhaps with the session it used."""


@dataclass(frozen=True, slots=True)
class Landing:
    """How a flight ended.

    Attributes:
        value: What the function returned, for the call that led.
        entry: The same as bytes, for those who joined; None if it could not be encoded.
        found: What Redis held when the lease was asked for; then nothing was loaded.
    """

    value: Any = None
    entry: Entry | None = None
    found: bytes | None = None


class Flight:
    """A load under way, and those who wait for it."""

    def __init__(self, work: Coroutine[Any, Any, Landing], *, token: str) -> None:
        """Start ``work`` in a task of its own, with the context variables of the caller."""
        self.token = token
        self._task = asyncio.create_task(work, name=f"langcache-load-{token}")
        self._task.add_done_callback(_retrieve)
        self._waiting = 0
        self._leader_left = False

    @property
    def done(self) -> bool:
        """Whether nothing of it runs any more."""
        return self._task.done()

    async def land(self, *, leading: bool) -> Landing:
        """Wait for the end. Cancelling one waiter harms no other; the last one to leave ends the load.

        Raises:
            AbandonedLoadError: See there; only for those who joined.
            BaseException: Whatever the load raised.
        """
        self._waiting += 1
        try:
            return await asyncio.shield(self._task)
        except asyncio.CancelledError:
            self._leader_left |= leading
            if self._waiting == 1 and not self._task.done():
                # Nobody can use the result. Wait for the end: the function may be using the
                # caller's session, which the caller is about to close.
                self._task.cancel()
                await asyncio.wait([self._task])
            raise
        except Exception as error:
            if self._leader_left and not leading:
                raise AbandonedLoadError from error
            raise
        finally:
            self._waiting -= 1


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Look at the outcome, which all who waited for it may have stopped waiting for."""
    if not task.cancelled():
        task.exception()
