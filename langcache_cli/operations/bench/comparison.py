"""Compare two runs of ``langcache bench``, and say in sentences what the comparison shows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langcache_cli.operations.bench.changes import (
    CONTROLS,
    SMALLEST_DIFFERENCE,
    Change,
    changes_of,
    turns_needed,
    turns_of,
)

COARSE = 1.5
"""A change that is not seen though it is this large, or larger, is said."""

NAMES = ("the baseline", "this run")
"""What sentences call the earlier run and the later one."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run beside a baseline.

    Attributes:
        paths: Those that both have.
        differences: What else differs between the two runs, such as versions: one sentence each.
        warnings: What the numbers do not show, and why: one sentence each.
        summary: The result in a sentence or two.
        baseline: The document of the earlier run.
    """

    paths: dict[str, Change]
    differences: tuple[str, ...]
    warnings: tuple[str, ...]
    summary: str
    baseline: Mapping[str, Any]

    @property
    def allowance(self) -> str:
        """Why intervals are wider than the turns alone would make them, in a sentence."""
        if all(control in self.paths for control in CONTROLS):
            return (
                "If noop or database changed as well, the machine changed, so the intervals of the other "
                "paths are widened."
            )
        if len(self.paths) == 1:
            return (
                "With one path, a slower machine looks like a slower path; measure noop and database as well."
            )
        return (
            "noop and database were not both measured, so a change of any path widens the intervals of "
            "the others."
        )


def compare(
    now: Mapping[str, Any], baseline: Mapping[str, Any], names: tuple[str, str] = NAMES
) -> Comparison:
    """Compare the document of a run with that of an earlier one.

    Args:
        now: As `document.document_of` or `baseline.read_document` returns it.
        baseline: The same of the earlier run.
        names: What the sentences call the earlier run and this one.
    """
    found = changes_of(now, baseline, "p50_ms")
    unknown = [name for name, change in found.items() if change.outcome == "unknown"]
    warnings = (
        *_distrust(names[0], baseline),
        *_distrust(names[1], now),
        *_unlike(found, now, baseline),
        *([too_few(now, baseline, unknown, names)] if unknown else []),
        *_only_in_one(now, baseline, names),
    )
    invalid = [
        name for name, run in zip(names, (baseline, now), strict=True) if run.get("status") == "invalid"
    ]
    summary = f"Nothing can be said: {invalid[0]} is INVALID." if invalid else summary_of(found)
    return Comparison(found, _other_settings(now, baseline), warnings, summary, baseline)


def _only_in_one(
    now: Mapping[str, Any], baseline: Mapping[str, Any], names: tuple[str, str]
) -> Iterator[str]:
    """A sentence for each run about the paths that the other one lacks, and that are not compared."""
    for name, run, other in ((names[0], baseline, now), (names[1], now, baseline)):
        if only := [path for path in run["paths"] if path not in other["paths"]]:
            yield f"Not compared, as only {name} has them: {', '.join(only)}"


def _distrust(name: str, document: Mapping[str, Any]) -> list[str]:
    """A sentence if the numbers of a run must not be quoted, else none."""
    status, reasons = str(document.get("status")), document.get("reasons") or ["the file names no reason"]
    if status not in {"noisy", "invalid"}:
        return []
    more = f"; and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return [
        f"{name[0].upper()}{name[1:]} is {status.upper()}, its numbers must not be quoted: {reasons[0]}{more}"
    ]


def too_few(
    now: Mapping[str, Any],
    baseline: Mapping[str, Any],
    unknown: Sequence[str],
    names: tuple[str, str] = NAMES,
) -> str:
    """How many turns of paths there are in each run, and how many it takes.

    Args:
        now: The document of a run.
        baseline: That of the earlier one.
        unknown: Paths of both with too few turns; at least one.
        names: What to call the earlier run and this one.
    """
    before, after = (
        min(len(turns_of(run["paths"][name], "p50_ms")) for name in unknown) for run in (baseline, now)
    )
    shared = sum(name in baseline["paths"] for name in now["paths"])
    needed = turns_needed(shared)
    return (
        f"{', '.join(unknown)}: {names[0]} has {before} turns and {names[1]} has {after}, too few to compare "
        f"{_paths(shared)}; measure both with --repeat {needed} or more"
    )


def summary_of(found: Mapping[str, Change]) -> str:
    """What changed, in a sentence or two."""
    if not found:
        return "The two runs have no path in common."
    unknown = [name for name, change in found.items() if change.outcome == "unknown"]
    if len(unknown) == len(found):
        return "Nothing can be said: there are too few turns."
    sentences = []
    for outcome in ("slower", "faster"):
        changed = {name: change for name, change in found.items() if change.outcome == outcome}
        if changed:
            shown = "; ".join(
                f"{name}, {change.ratio:.2f} times ({change.lowest:.2f} to {change.highest:.2f})"
                for name, change in changed.items()
            )
            be = "is" if len(changed) == 1 else "are"
            sentences.append(f"{len(changed)} of {_paths(len(found))} {be} {outcome}: {shown}.")
    if not sentences:
        sentences.append(_nothing_seen(found))
    if unknown:
        sentences.append(f"Unknown: {', '.join(unknown)}.")
    return " ".join(sentences)


def _nothing_seen(found: Mapping[str, Change]) -> str:
    """That nothing changed, and how much would have had to where the runs show only that."""
    hidden = {
        name: max(change.highest, 1 / change.lowest)
        for name, change in found.items()
        if change.lowest is not None and change.highest is not None and name not in CONTROLS
    }
    hidden = {name: times for name, times in hidden.items() if times >= COARSE}
    if not hidden:
        return "No path is slower or faster."
    shown = "; ".join(f"{name} {times:.1f} times" for name, times in hidden.items())
    return (
        "No path is slower or faster as far as these runs can show. To be seen, a path would have to be "
        f"slower or faster by: {shown}. Measure both with more turns, or on a quieter machine."
    )


def _paths(count: int) -> str:
    return f"{count} {'path' if count == 1 else 'paths'}"


def _unlike(
    found: Mapping[str, Change], now: Mapping[str, Any], baseline: Mapping[str, Any]
) -> Iterator[str]:
    """A sentence for each path whose ratio by turns is another than that of its medians over all calls."""
    for name, change in found.items():
        then_ms, now_ms = (run["paths"][name].get("p50_ms") for run in (baseline, now))
        if not then_ms or not now_ms:
            continue
        together = now_ms / then_ms
        if abs(math.log(together / change.ratio)) > math.log(SMALLEST_DIFFERENCE):
            yield (
                f"{name}: the ratio is {change.ratio:.2f} by turns and {together:.2f} by the medians of all "
                "calls, since its turns differ from each other; the verdict is by turns"
            )


def _other_settings(now: Mapping[str, Any], baseline: Mapping[str, Any]) -> tuple[str, ...]:
    host, host_then = now.get("host", {}), baseline.get("host", {})
    versions, versions_then = now.get("versions", {}), baseline.get("versions", {})
    pairs = {
        "turn_seconds": (baseline.get("turn_seconds"), now.get("turn_seconds")),
        **{name: (host_then.get(name), host.get(name)) for name in ("cpus", "system")},
        **{name: (versions_then.get(name), version) for name, version in versions.items()},
    }
    return tuple(
        f"{name}: {then} then, {after} now" for name, (then, after) in pairs.items() if then != after
    )
