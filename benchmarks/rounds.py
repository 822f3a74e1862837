"""Contenders that take turns: in random order, again and again, so that what disturbs one disturbs all."""

from __future__ import annotations

import random
import statistics
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

Work = Callable[[], Awaitable[float]]
"""Does something once, and returns how long it took or how fast it was."""


@dataclass(frozen=True)
class Measured:
    """What one contender has shown.

    Attributes:
        median: Of all rounds.
        low: Of the rounds, the lowest.
        high: The highest.
        ratio: The median by that of the contender that the others are compared with.
    """

    median: float
    low: float
    high: float
    ratio: float


async def in_turns(contenders: Mapping[str, Work], *, rounds: int) -> dict[str, Measured]:
    """Let each of them work once in each round; the first of them is what the others are compared with."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name in random.sample(list(contenders), len(contenders)):
            found[name].append(await contenders[name]())
    base = statistics.median(next(iter(found.values())))
    return {name: _measured(values, base) for name, values in found.items()}


def _measured(values: list[float], base: float) -> Measured:
    median = statistics.median(values)
    return Measured(median, min(values), max(values), median / base)


def percentile(values: list[float], percent: float) -> float:
    """The value that ``percent`` of the values are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


Times = dict[str, float]
"""One row of a table: wall time and CPU time of this process, each with its ratio."""

TimedWork = Callable[[], Awaitable[tuple[float, float]]]
"""Does something once, and returns how long it took on the wall clock and in CPU time, in microseconds."""


async def in_turns_timed(contenders: Mapping[str, TimedWork], *, rounds: int) -> dict[str, Times]:
    """`in_turns` for wall time and CPU time; the medians, after one round that does not count."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name in random.sample(list(contenders), len(contenders)):
            times = await contenders[name]()
            if number:
                found[name].append(times)
    base = next(iter(found.values()))
    return {name: _times(times, base) for name, times in found.items()}


def _times(times: list[tuple[float, float]], base: list[tuple[float, float]]) -> Times:
    """The ratios are medians of those of each round: what disturbs a round disturbs both."""
    wall, cpu = map(statistics.median, zip(*times, strict=True))
    pairs = list(zip(times, base, strict=True))
    wall_ratio, cpu_ratio = (statistics.median(one[n] / other[n] for one, other in pairs) for n in (0, 1))
    return {"µs": wall, "ratio": wall_ratio, "CPU, µs": cpu, "CPU ratio": cpu_ratio}
