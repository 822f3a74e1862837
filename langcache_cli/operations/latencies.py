"""Timing one thing many times, and what the times say."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)


@dataclass(frozen=True, slots=True)
class Latencies:
    """The times of one path.

    Attributes:
        count: Runs that were timed.
        errors: Runs that raised; their times are not counted.
        seconds: Wall time of all repeats.
        percentiles_ms: By percent, over all repeats.
        mean_ms: Arithmetic mean.
        max_ms: The slowest.
        spread_ms: Lowest and highest median among the repeats: how far to trust the rest.
        error: The first that a run raised; None for none.
    """

    count: int
    errors: int
    seconds: float
    percentiles_ms: dict[float, float]
    mean_ms: float
    max_ms: float
    spread_ms: tuple[float, float]
    error: Exception | None = None

    @property
    def per_second(self) -> float:
        """Runs a second."""
        return self.count / self.seconds if self.seconds else 0.0


@dataclass(slots=True)
class Repeat:
    """The raw times of one repeat, in seconds."""

    times: list[float]
    errors: int
    seconds: float
    error: Exception | None = None


async def measure(run: Callable[[], Awaitable[object]], *, seconds: float, concurrency: int) -> Repeat:
    """Run something again and again, each worker waiting for its last run to end.

    Args:
        run: What to time.
        seconds: For how long; every worker runs it at least once.
        concurrency: How many workers.
    """
    repeat = Repeat([], 0, 0.0)
    started = time.perf_counter()

    async def work() -> None:
        while True:
            begun = time.perf_counter()
            try:
                await run()
            except Exception as error:  # noqa: BLE001 - a path that fails is a result: it is counted and shown
                repeat.errors += 1
                repeat.error = repeat.error or error
            else:
                repeat.times.append(time.perf_counter() - begun)
            if time.perf_counter() - started >= seconds:
                return

    await asyncio.gather(*(work() for _ in range(concurrency)))
    repeat.seconds = time.perf_counter() - started
    return repeat


def summarize(repeats: Sequence[Repeat]) -> Latencies:
    """What several repeats say together."""
    times = sorted(time for repeat in repeats for time in repeat.times)
    medians = [statistics.median(repeat.times) * 1000 for repeat in repeats if repeat.times]
    return Latencies(
        count=len(times),
        errors=sum(repeat.errors for repeat in repeats),
        seconds=sum(repeat.seconds for repeat in repeats),
        percentiles_ms={percent: percentile(times, percent) * 1000 for percent in PERCENTILES},
        mean_ms=statistics.fmean(times) * 1000 if times else 0.0,
        max_ms=times[-1] * 1000 if times else 0.0,
        spread_ms=(min(medians), max(medians)) if medians else (0.0, 0.0),
        error=next((repeat.error for repeat in repeats if repeat.error is not None), None),
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The value that ``percent`` of the ordered values lie below, interpolated; 0 of none."""
    if not ordered:
        return 0.0
    position = (len(ordered) - 1) * percent / 100
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
