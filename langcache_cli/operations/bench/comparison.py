"""Compare two runs of ``langcache bench``, path by path: no difference, faster or slower."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langcache_cli.operations.bench.rank_test import Shift, shift

ERROR = 0.05
"""The probability that two runs of the same are found to differ in any path: shared out among the paths."""

CONTROLS = ("noop", "database")
"""Run no code of the cache: what changed about them is the machine, or the moment."""

SMALLEST_DIFFERENCE = 1.05
"""Ratios nearer to 1 are called no difference: two runs of the same thing differ by as much."""

Outcome = Literal["no difference", "faster", "slower", "unknown"]


@dataclass(frozen=True, slots=True)
class Change:
    """How the median of a path changed.

    Attributes:
        outcome: ``unknown``: there were too few turns to tell.
        ratio: Time now by time then; 2 is twice as long.
        lowest: Lower end of the interval of the ratio; None where it is unknown.
        highest: Upper end.
    """

    outcome: Outcome
    ratio: float
    lowest: float | None
    highest: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run beside a baseline.

    Attributes:
        paths: Those that both have.
        differences: What else differs between the two runs, such as versions: one sentence each.
        baseline: The document of the earlier run.
    """

    paths: dict[str, Change]
    differences: tuple[str, ...]
    baseline: Mapping[str, Any]


def compare(now: Mapping[str, Any], baseline: Mapping[str, Any]) -> Comparison:
    """Compare the document of a run with that of an earlier one.

    Args:
        now: As `document.document_of` or `baseline.read_document` returns it.
        baseline: The same of the earlier run.
    """
    medians = [
        {name: _medians(path["turns"]["p50_ms"]) for name, path in document["paths"].items()}
        for document in (now, baseline)
    ]
    return Comparison(changes(*medians), _other_settings(now, baseline), baseline)


def changes(now: Mapping[str, Sequence[float]], then: Mapping[str, Sequence[float]]) -> dict[str, Change]:
    """How the paths that both runs have changed, from the medians of their turns.

    Each interval is exact for turns that come in any order with the same probability. What lasts longer than
    a run, such as a neighbour's load, shifts all its turns; controls show it, and widen the intervals.

    Args:
        now: Medians of the turns of each path, in any unit.
        then: The same of the earlier run.
    """
    shared = [name for name in now if now[name] and then.get(name)]
    error = ERROR / max(1, len(shared))
    drifts = {name: _drift(now[name], then[name]) for name in shared}
    found = {}
    for name in shared:
        shifted = shift([*map(math.log, then[name])], [*map(math.log, now[name])], error=error)
        allowance = max((drifts[other] for other in _controls_of(name, shared)), default=0.0)
        found[name] = _change(shifted, allowance)
    return found


def _controls_of(name: str, shared: Sequence[str]) -> list[str]:
    """The paths whose drift is taken for the machine's when ``name`` is judged: all others, if need be."""
    if name not in CONTROLS and all(control in shared for control in CONTROLS):
        return [*CONTROLS]
    return [other for other in shared if other != name]


def _drift(now: Sequence[float], then: Sequence[float]) -> float:
    """How far a path has moved, as the logarithm of a ratio."""
    return abs(math.log(statistics.median(now) / statistics.median(then)))


def _change(shifted: Shift, allowance: float) -> Change:
    ratio = math.exp(shifted.estimate)
    if shifted.lowest is None or shifted.highest is None:
        return Change("unknown", ratio, None, None)
    lowest, highest = math.exp(shifted.lowest - allowance), math.exp(shifted.highest + allowance)
    outcome: Outcome = "no difference"
    if lowest > 1 and ratio > SMALLEST_DIFFERENCE:
        outcome = "slower"
    elif highest < 1 and ratio < 1 / SMALLEST_DIFFERENCE:
        outcome = "faster"
    return Change(outcome, ratio, lowest, highest)


def _medians(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value]


def _other_settings(now: Mapping[str, Any], baseline: Mapping[str, Any]) -> tuple[str, ...]:
    host, host_then = now.get("host", {}), baseline.get("host", {})
    versions, versions_then = now.get("versions", {}), baseline.get("versions", {})
    pairs = {
        "turn_seconds": (baseline.get("turn_seconds"), now.get("turn_seconds")),
        **{name: (host_then.get(name), host.get(name)) for name in ("cpus", "system")},
        **{name: (versions_then.get(name), version) for name, version in versions.items()},
    }
    found = [f"{name}: {then} then, {after} now" for name, (then, after) in pairs.items() if then != after]
    if baseline.get("status") == "invalid":
        found.append("the baseline is INVALID")
    return tuple(found)
