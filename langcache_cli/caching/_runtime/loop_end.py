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
        self._close: Callable[[], Awaitable[None]] | None = None

    def watch(self, close: Callable[[], Awaitable[None]]) -> None:
        """Await ``close`` before the loop ends."""
        self._close = close
        self._generator = self._until_the_end()
        with contextlib.suppress(StopIteration):
            self._generator.asend(None).send(None)  # runs it up to its yield, where it stays

    async def forget(self) -> None:
        """End the watch, if it has not ended by itself; ``close`` is not awaited any more."""
        generator, self._generator, self._close = self._generator, None, None
        if generator is not None:
            await generator.aclose()

    async def _until_the_end(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            close, self._generator, self._close = self._close, None, None
            if close is not None:  # it must not close the generator that awaits it
                await close()
