"""What must not be exceeded: ``hit:p50>+25%`` against a baseline, ``hit:p95>5ms`` alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langcache_cli.operations.bench.changes import Change, changes_of
from langcache_cli.operations.bench.comparison import NAMES, too_few

CONTROL = "noop"
"""What measuring itself costs: only a limit that names it is about it."""

WITHOUT_CACHE = (CONTROL, "ping", "database")
"""Run no code of the cache: only a limit against a baseline that names one of them is about it."""

METRICS = {
    "p50": "p50_ms",
    "p90": "p90_ms",
    "p95": "p95_ms",
    "p99": "p99_ms",
    "p99.9": "p99.9_ms",
    "mean": "mean_ms",
    "max": "max_ms",
    "rate": "runs_per_second",
}
"""Names of metrics and their fields in a document."""

BY_TURN = ("p50", "p95", "p99", "max", "rate")
"""Metrics that are known for each turn, so that a change of them has an interval."""

EXAMPLE = "'hit:p50>+25%', 'hit:p95>5ms' or 'rate<-20%'"

_EXPRESSION = re.compile(
    r"(?:(?P<path>.+):)?(?P<metric>[a-z][a-z0-9.]*)\s*(?P<sign>[<>])\s*"
    r"(?:(?P<percent>[+-]\d+(?:\.\d+)?)%|(?P<ms>\d+(?:\.\d+)?)ms)",
)


class LimitError(Exception):
    """The text is no limit; ``str()`` says why."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit.

    Attributes:
        text: As it was typed.
        path: The path that it is about; empty for all that `counts` is true of.
        metric: Among `METRICS`.
        is_upper: True if more is too much, False if less is too little.
        percent: How far from the baseline; None for a limit of its own.
        ms: The limit; None for one against the baseline.
    """

    text: str
    path: str
    metric: str
    is_upper: bool
    percent: float | None
    ms: float | None

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read ``METRIC`` or ``PATH:METRIC``, ``>`` or ``<``, and ``+N%``, ``-N%`` or ``Nms``.

        Raises:
            LimitError: It is something else.
        """
        found = _EXPRESSION.fullmatch(text.strip())
        if found is None:
            raise LimitError(f"{text!r} is no limit; write one such as {EXAMPLE}")
        metric, ms = found["metric"], found["ms"]
        if metric not in METRICS:
            raise LimitError(f"{text!r}: there is no metric {metric!r}; there are {', '.join(METRICS)}")
        if metric == "rate" and ms is not None:
            raise LimitError(f"{text!r}: a rate is in runs a second; write one such as 'rate<-20%'")
        percent = None if found["percent"] is None else float(found["percent"])
        if percent is not None and metric not in BY_TURN:
            raise LimitError(
                f"{text!r}: {metric} is not known by turn; against a baseline: {', '.join(BY_TURN)}"
            )
        limit = None if ms is None else float(ms)
        return cls(text, found["path"] or "", metric, found["sign"] == ">", percent, limit)

    @property
    def needs_baseline(self) -> bool:
        """True for a limit in percent."""
        return self.percent is not None

    def counts(self, path: str) -> bool:
        """True if the limit is about this path."""
        if self.path:
            return path == self.path
        return path not in (WITHOUT_CACHE if self.needs_baseline else (CONTROL,))

    def verdict(
        self, now: Mapping[str, Any], baseline: Mapping[str, Any] | None, names: tuple[str, str] = NAMES
    ) -> Verdict:
        """Which paths exceed it.

        Against a baseline a path exceeds it where the whole interval of its change lies beyond the limit.

        Args:
            now: The document of a run.
            baseline: That of the earlier one, if there is one.
            names: What the sentences call the earlier run and this one.

        Raises:
            LimitError: The path was not measured, or a baseline is needed.
        """
        for run, message in ((now, "was not measured"), (baseline, "is not in the baseline")):
            if self.path and (run is now or self.needs_baseline) and self.path not in (run or now)["paths"]:
                there = ", ".join((run or now)["paths"])
                raise LimitError(f"{self.text!r}: the path {self.path!r} {message}; there are {there}")
        if self.ms is not None:
            return Verdict(tuple(self._above(now, self.ms)), ())
        if baseline is None:
            raise LimitError(f"{self.text!r} needs a baseline")
        found = changes_of(now, baseline, METRICS[self.metric])
        counted = {name: change for name, change in found.items() if self.counts(name)}
        if not counted:
            return Verdict((), (f"{self.text} {self._nothing_counted()}",))
        unknown = [name for name, change in counted.items() if change.lowest is None]
        unjudged = [f"{self.text}: {too_few(now, baseline, unknown, names)}"] if unknown else []
        return Verdict(tuple(self._beyond(counted, now, baseline)), tuple(unjudged))

    def _nothing_counted(self) -> str:
        if self.path:
            return "is about a path of which no run succeeded"
        return (
            "is about all paths but noop, ping and database, and the two runs have none of these in common; "
            f"name a path, as in 'ping:{self.text}'"
        )

    def _above(self, now: Mapping[str, Any], limit_ms: float) -> Iterator[str]:
        for name, path in now["paths"].items():
            value = float(path[METRICS[self.metric]])
            if self.counts(name) and (value > limit_ms if self.is_upper else value < limit_ms):
                yield f"{name}: {self.metric} is {_short(value)} ms: {self.text}"

    def _beyond(
        self, found: Mapping[str, Change], now: Mapping[str, Any], baseline: Mapping[str, Any]
    ) -> Iterator[str]:
        limit = 1 + (self.percent or 0) / 100
        field, unit = METRICS[self.metric], " a second" if self.metric == "rate" else " ms"
        for name, change in found.items():
            if change.lowest is None or change.highest is None:
                continue
            if change.lowest > limit if self.is_upper else change.highest < limit:
                value, before = (float(run["paths"][name][field]) for run in (now, baseline))
                yield (
                    f"{name}: {self.metric} is {_short(value)}{unit}, it was {_short(before)}{unit}; "
                    f"by turns {change.ratio:.2f} times ({change.lowest:.2f} to {change.highest:.2f}): "
                    f"{self.text}"
                )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What limits say of a run: one sentence for each limit and path.

    Attributes:
        exceeded: Paths beyond a limit.
        unjudged: Limits that could not be judged, and what it takes.
    """

    exceeded: tuple[str, ...]
    unjudged: tuple[str, ...]


def verdict_of(
    limits: Sequence[Limit],
    now: Mapping[str, Any],
    baseline: Mapping[str, Any] | None,
    names: tuple[str, str] = NAMES,
) -> Verdict:
    """What all limits say together; the arguments are those of `Limit.verdict`.

    Raises:
        LimitError: A limit is about a path that was not measured.
    """
    found = [limit.verdict(now, baseline, names) for limit in limits]
    return Verdict(
        tuple(sentence for verdict in found for sentence in verdict.exceeded),
        tuple(sentence for verdict in found for sentence in verdict.unjudged),
    )


def _short(value: float) -> str:
    return f"{value:,.3f}" if value < 100 else f"{value:,.0f}"  # noqa: PLR2004 - three digits
