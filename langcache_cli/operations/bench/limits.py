"""What must not be exceeded: ``p99>+10%`` against a baseline, ``hit:p95>5ms`` alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

CONTROL = "noop"
"""What measuring itself costs: only a limit that names it is about it."""

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

EXAMPLE = "'p99>+10%', 'hit:p95>5ms' or 'rate<-20%'"

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
        path: The path that it is about; empty for all but `CONTROL`.
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
        limit = None if ms is None else float(ms)
        return cls(text, found["path"] or "", metric, found["sign"] == ">", percent, limit)

    @property
    def needs_baseline(self) -> bool:
        """True for a limit in percent."""
        return self.percent is not None

    def exceeded(self, now: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> Iterator[str]:
        """A sentence for each path that exceeds it.

        Args:
            now: The document of a run.
            baseline: That of the earlier one, if there is one.

        Raises:
            LimitError: The path was not measured.
        """
        paths = [self.path] if self.path else [name for name in now["paths"] if name != CONTROL]
        for name in paths:
            if name not in now["paths"]:
                raise LimitError(f"{self.text!r}: the path {name!r} was not measured")
            then = None if baseline is None else baseline["paths"].get(name)
            if self.needs_baseline and then is None:
                if self.path:
                    raise LimitError(f"{self.text!r}: the baseline has no path {name!r}")
                continue
            sentence = self._of_path(name, now["paths"][name], then)
            if sentence:
                yield sentence

    def _of_path(self, name: str, now: Mapping[str, Any], then: Mapping[str, Any] | None) -> str:
        field = METRICS[self.metric]
        value = float(now[field])
        before = 0.0 if then is None else float(then[field])
        limit = before * (1 + (self.percent or 0) / 100) if self.ms is None else self.ms
        if not (value > limit if self.is_upper else value < limit):
            return ""
        unit = " a second" if self.metric == "rate" else " ms"
        was = f", it was {_short(before)}{unit} ({_change(value, before)})" if self.ms is None else ""
        return f"{name}: {self.metric} is {_short(value)}{unit}{was}: {self.text}"


def _short(value: float) -> str:
    return f"{value:,.3f}" if value < 100 else f"{value:,.0f}"  # noqa: PLR2004 - three digits


def _change(now: float, then: float) -> str:
    return f"{100 * (now / then - 1):+.1f} %" if then else "from nothing"
