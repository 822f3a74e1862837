"""The steps of a window as series of numbers; steps that do not change any more are computed once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

from langcache_cli.caching.tooling import OUTBOX, Label, Numbers, Steps
from langcache_cli.operations.overview.document import LatencySeries, Series, TypeSeries

COUNTED: Final = ("hits", "stale", "joined", "misses", "bypassed", "load_errors")
PERCENTILES: Final = tuple((what, percent) for what in ("hit", "load") for percent in (50, 95))
NOTHING: Final = (0,) * len(COUNTED)


class _Step(NamedTuple):
    types: dict[str, tuple[int, ...]]
    latencies: tuple[float | None, ...]


class SeriesMaker:
    """Makes the series of one window again and again."""

    def __init__(self) -> None:
        self._final: dict[int, _Step] = {}

    async def series(self, steps: Steps) -> Series:
        """The series of what was read now. Other work goes on between its steps."""
        made: dict[int, _Step] = {}
        for start in steps.at:
            step = self._final.get(start)
            if step is None:
                step = _step(steps.counts.get(start, {}))
                await asyncio.sleep(0)
            made[start] = step
        self._final = {start: step for start, step in made.items() if start in steps.final}
        of_steps = list(made.values())
        names = sorted({name for step in of_steps for name in step.types})
        columns = {
            name: zip(*[step.types.get(name, NOTHING) for step in of_steps], strict=True) for name in names
        }
        latencies = zip(*[step.latencies for step in of_steps], strict=True)
        hit_p50, hit_p95, load_p50, load_p95 = map(list, latencies)
        return Series(
            at=list(steps.at),
            types={
                name: TypeSeries(**dict(zip(COUNTED, map(list, column), strict=True)))  # type: ignore[typeddict-item] # mypy does not know the names
                for name, column in columns.items()
            },
            latency=LatencySeries(
                hit_p50_ms=hit_p50, hit_p95_ms=hit_p95, load_p50_ms=load_p50, load_p95_ms=load_p95
            ),
        )


def _step(counts: Mapping[Label, Mapping[str, int]]) -> _Step:
    types: dict[str, list[int]] = {}
    latencies: Counter[str] = Counter()
    for label, items in counts.items():
        if label == OUTBOX:
            continue
        of_type = types.setdefault(label.type, list(NOTHING))
        for place, name in enumerate(COUNTED):
            of_type[place] += items.get(name, 0)
        for name, count in items.items():
            if "_us." in name:
                latencies[name] += count
    numbers = Numbers(dict(latencies))
    return _Step(
        {name: tuple(values) for name, values in types.items()},
        tuple(numbers.percentile_ms(what, percent) for what, percent in PERCENTILES),
    )
