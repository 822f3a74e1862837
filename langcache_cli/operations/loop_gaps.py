"""Noticing that an event loop was kept busy for longer than leases last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

TICKS_PER_LIMIT = 4


@dataclass(slots=True)
class LoopGaps:
    """What was noticed.

    Attributes:
        longest_seconds: The longest time for which nothing else could run.
    """

    longest_seconds: float = 0.0


@asynccontextmanager
async def watched_loop(limit_seconds: float) -> AsyncIterator[LoopGaps]:
    """Measure for how long the loop was kept busy, to a fraction of ``limit_seconds``."""
    gaps, loop, pause = LoopGaps(), asyncio.get_running_loop(), limit_seconds / TICKS_PER_LIMIT
    last = loop.time()

    def look() -> None:
        nonlocal last
        gaps.longest_seconds = max(gaps.longest_seconds, loop.time() - last - pause)
        last = loop.time()

    async def tick() -> None:
        while True:
            await asyncio.sleep(pause)
            look()

    ticking = asyncio.create_task(tick())
    try:
        yield gaps
    finally:
        look()
        ticking.cancel()
