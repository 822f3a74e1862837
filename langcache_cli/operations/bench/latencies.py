"""The times of one path: all of them together, by turn, by percentile and over the run."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)

QUANTILE_PERCENTS: tuple[float, ...] = (
    0.0,
    0.1,
    *map(float, range(1, 100)),
    *(100 - 10 ** (-step / 49) for step in range(1, 99)),
    100.0,
)
"""200: each percent, then 98 steps of equal ratio from 99 to 99.99 (the 49th is 99.9), then the slowest."""

TIME_SLICES = 60
"""About as many slices of time as a path is cut into over the run; one a turn at least."""


@dataclass(slots=True)
class Repeat:
    """The raw times of one turn of one path, in seconds.

    Attributes:
        begun_at: When the turn began, in seconds since the run did.
        starts: When each run began, in seconds since the turn did; in an open loop when it should have begun.
        times: How long it took; of runs that raised there is neither.
        errors: Runs that raised.
        seconds: Wall time of the turn.
        error: The first that a run raised.
        asked: Runs that an open loop should have begun; 0 in a closed loop.
        lags: How late an open loop began each of them.
        schedule_seconds: How long an open loop took to begin them.
    """

    begun_at: float = 0.0
    starts: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    errors: int = 0
    seconds: float = 0.0
    error: Exception | None = None
    asked: int = 0
    lags: list[float] = field(default_factory=list)
    schedule_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a path. The latencies are None if no run succeeded."""

    at_seconds: float
    seconds: float
    count: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a turn, with the runs that began in it. The latencies are None if there were none."""

    turn: int
    at_seconds: float
    count: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """How well an open loop kept to its schedule.

    Attributes:
        reached_per_second: Runs begun a second.
        lag_p50_ms: How late a run began, median; it is part of the latency of the run.
        lag_p99_ms: The same, 99th percentile.
        lag_max_ms: The latest.
    """

    reached_per_second: float
    lag_p50_ms: float
    lag_p99_ms: float
    lag_max_ms: float


@dataclass(frozen=True, slots=True)
class Latencies:
    """The times of one path.

    Attributes:
        count: Runs that were timed.
        errors: Runs that raised; their times are not counted.
        seconds: Wall time of all turns.
        percentiles_ms: By percent, over all turns.
        mean_ms: Arithmetic mean.
        max_ms: The slowest.
        spread_ms: Lowest and highest median among the turns: how far to trust the rest.
        quantiles_ms: At each of `QUANTILE_PERCENTS`; empty if no run succeeded.
        turns: In the order of the run.
        slices: The turns in about `TIME_SLICES` parts.
        schedule: None in a closed loop.
        error: The first that a run raised; None for none.
    """

    count: int
    errors: int
    seconds: float
    percentiles_ms: dict[float, float]
    mean_ms: float
    max_ms: float
    spread_ms: tuple[float, float]
    quantiles_ms: tuple[float, ...] = ()
    turns: tuple[Turn, ...] = ()
    slices: tuple[Slice, ...] = ()
    schedule: Schedule | None = None
    error: Exception | None = None

    @property
    def per_second(self) -> float:
        """Runs a second."""
        return self.count / self.seconds if self.seconds else 0.0


def summarize(repeats: Sequence[Repeat]) -> Latencies:
    """What several turns say together."""
    times = sorted(time for repeat in repeats for time in repeat.times)
    turns = tuple(_turn(repeat) for repeat in repeats)
    medians = [turn.p50_ms for turn in turns if turn.p50_ms is not None]
    return Latencies(
        count=len(times),
        errors=sum(repeat.errors for repeat in repeats),
        seconds=sum(repeat.seconds for repeat in repeats),
        percentiles_ms={percent: percentile(times, percent) * 1000 for percent in PERCENTILES},
        mean_ms=statistics.fmean(times) * 1000 if times else 0.0,
        max_ms=times[-1] * 1000 if times else 0.0,
        spread_ms=(min(medians), max(medians)) if medians else (0.0, 0.0),
        quantiles_ms=tuple(percentile(times, percent) * 1000 for percent in QUANTILE_PERCENTS)
        if times
        else (),
        turns=turns,
        slices=_slices(repeats),
        schedule=_schedule(repeats),
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


def _turn(repeat: Repeat) -> Turn:
    ordered = sorted(repeat.times)
    return Turn(repeat.begun_at, repeat.seconds, len(ordered), repeat.errors, *_latencies_of(ordered))


def _slices(repeats: Sequence[Repeat]) -> tuple[Slice, ...]:
    each = max(1, TIME_SLICES // max(1, len(repeats)))
    found = []
    for number, repeat in enumerate(repeats, start=1):
        parts: list[list[float]] = [[] for _ in range(each)]
        length = (max(repeat.starts, default=0.0) or repeat.seconds or 1.0) / each
        for start, time in zip(repeat.starts, repeat.times, strict=True):
            parts[min(each - 1, int(start / length))].append(time)
        for index, part in enumerate(parts):
            part.sort()
            at = repeat.begun_at + index * length
            found.append(Slice(number, at, len(part), *_latencies_of(part)))
    return tuple(found)


def _schedule(repeats: Sequence[Repeat]) -> Schedule | None:
    asked = sum(repeat.asked for repeat in repeats)
    if not asked:
        return None
    lags = sorted(lag for repeat in repeats for lag in repeat.lags)
    return Schedule(
        reached_per_second=len(lags) / sum(repeat.schedule_seconds for repeat in repeats),
        lag_p50_ms=percentile(lags, 50) * 1000,
        lag_p99_ms=percentile(lags, 99) * 1000,
        lag_max_ms=percentile(lags, 100) * 1000,
    )


def _latencies_of(ordered: Sequence[float]) -> tuple[float | None, float | None, float | None, float | None]:
    if not ordered:
        return (None, None, None, None)
    p50, p95, p99 = (percentile(ordered, percent) * 1000 for percent in (50, 95, 99))
    return (p50, p95, p99, ordered[-1] * 1000)
