"""How much each path of a run changed against an earlier run: no difference, faster or slower."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langcache_cli.operations.bench.rank_test import Shift, is_large_enough, shift

ERROR = 0.05
"""The probability that two runs of the same are found to differ in any path: shared out among the paths."""

CONTROLS = ("noop", "database")
"""Run no code of the cache: what changed about them is the machine, or the moment."""

SMALLEST_DIFFERENCE = 1.05
"""Ratios nearer to 1 are called no difference: two runs of the same thing differ by as much."""

LEAST_TURNS = 5
"""Fewer turns of a path say nothing about it. Many paths at a time need more, see `turns_needed`."""

Outcome = Literal["no difference", "faster", "slower", "unknown"]


@dataclass(frozen=True, slots=True)
class Change:
    """How a metric of a path changed, judged by its turns.

    Attributes:
        outcome: ``unknown``: there were too few turns to tell.
        ratio: Now by then: the median of the ratios of each turn now to each turn then.
        lowest: Lower end of the interval of the ratio; None where it is unknown.
        highest: Upper end.
    """

    outcome: Outcome
    ratio: float
    lowest: float | None
    highest: float | None


def changes_of(now: Mapping[str, Any], baseline: Mapping[str, Any], field: str) -> dict[str, Change]:
    """How a metric of the paths that both documents have changed, from its values by turn.

    Args:
        now: The document of a run.
        baseline: That of the earlier one.
        field: Among the fields of `latencies.Turn`, or ``runs_per_second``.
    """
    values = [
        {name: turns_of(path, field) for name, path in document["paths"].items()}
        for document in (now, baseline)
    ]
    return changes(*values)


def turns_of(path: Mapping[str, Any], field: str) -> list[float]:
    """The values of a metric by turn, without turns in which no run succeeded."""
    turns = path["turns"]
    if field != "runs_per_second":
        return [value for value in turns.get(field, ()) if value]
    pairs = zip(turns.get("count", ()), turns.get("seconds", ()), strict=False)
    return [count / seconds for count, seconds in pairs if count and seconds]


def turns_needed(paths: int) -> int:
    """The turns that each of two runs needs of each path so that so many paths can be compared."""
    turns = LEAST_TURNS
    while not is_large_enough(turns, turns, error=ERROR / max(1, paths)):
        turns += 1
    return turns


def changes(now: Mapping[str, Sequence[float]], then: Mapping[str, Sequence[float]]) -> dict[str, Change]:
    """How the paths that both runs have changed, from a value of each of their turns.

    Each interval is exact for turns that come in any order with the same probability. What lasts longer than
    a run, such as a neighbour's load, shifts all its turns; controls show it, and widen the intervals.

    Args:
        now: The value of each turn of each path, in any unit.
        then: The same of the earlier run.
    """
    shared = [name for name in now if now[name] and then.get(name)]
    error = ERROR / max(1, len(shared))
    drifts = {name: _drift(now[name], then[name]) for name in shared}
    found = {}
    for name in shared:
        shifted = shift([*map(math.log, then[name])], [*map(math.log, now[name])], error=error)
        allowance = max((drifts[other] for other in _controls_of(name, shared)), default=0.0)
        found[name] = _change(shifted, allowance, min(len(now[name]), len(then[name])))
    return found


def _controls_of(name: str, shared: Sequence[str]) -> list[str]:
    """The paths whose drift is taken for the machine's when ``name`` is judged: all others, if need be."""
    if name not in CONTROLS and all(control in shared for control in CONTROLS):
        return [*CONTROLS]
    return [other for other in shared if other != name]


def _drift(now: Sequence[float], then: Sequence[float]) -> float:
    """How far a path has moved, as the logarithm of a ratio."""
    return abs(math.log(statistics.median(now) / statistics.median(then)))


def _change(shifted: Shift, allowance: float, turns: int) -> Change:
    ratio = math.exp(shifted.estimate)
    if turns < LEAST_TURNS or shifted.lowest is None or shifted.highest is None:
        return Change("unknown", ratio, None, None)
    lowest, highest = math.exp(shifted.lowest - allowance), math.exp(shifted.highest + allowance)
    outcome: Outcome = "no difference"
    if lowest > 1 and ratio > SMALLEST_DIFFERENCE:
        outcome = "slower"
    elif highest < 1 and ratio < 1 / SMALLEST_DIFFERENCE:
        outcome = "faster"
    return Change(outcome, ratio, lowest, highest)
