"""Learning of the end of an event loop, early enough to close what belongs to it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable


class LoopEnd:
    """Runs a callback before the running event loop ends.

    `asyncio.run`, like every runner that ends a loop in good order, closes the async generators of its loop.
    A generator that does nothing else is the only way for a library to learn of the end.
    """

    def __init__(self) -> None:
        self._generator: AsyncGenerator[None, None] | None = None

    def watch(self, close: Callable[[], Awaitable[None]]) -> None:
        """Await ``close`` before the loop ends."""
        self._generator = self._until_the_end(close)
        with contextlib.suppress(StopIteration):
            self._generator.asend(None).send(None)  # runs it up to its yield, where it stays

    async def forget(self) -> None:
        """End the watch, if it has not ended by itself. ``close`` is awaited in the course of it."""
        if self._generator is not None:
            await self._generator.aclose()

    async def _until_the_end(self, close: Callable[[], Awaitable[None]]) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._generator = None  # `close` must not close the generator that awaits it
            await close()
