"""Whether the numbers of ``langcache bench`` are as good as was asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError, explain
from langcache_cli.readable import number_of

if TYPE_CHECKING:
    from langcache_cli.operations.bench.limits import Limit, Verdict
    from langcache_cli.operations.bench.running import BenchReport
    from langcache_cli.operations.bench.trust import Trust

P95 = 95.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What hits must reach."""

    min_speedup: float | None
    max_p95_ms: float | None

    @property
    def paths(self) -> list[str]:
        """Those that must be measured."""
        return [
            *(["hit", "miss"] if self.min_speedup is not None else []),
            *(["hit"] if self.max_p95_ms is not None else []),
        ]


def limits_of(texts: Sequence[str], *, has_baseline: bool) -> list[Limit]:
    """The limits of ``--fail-on``.

    Raises:
        CommandError: One cannot be read, or needs a baseline.
    """
    from langcache_cli.operations.bench.limits import Limit, LimitError  # noqa: PLC0415 - see the package

    try:
        found = [Limit.parse(text) for text in texts]
    except LimitError as error:
        raise CommandError(ExitCode.USAGE, f"--fail-on {error}") from None
    for limit in found:
        if limit.needs_baseline and not has_baseline:
            raise CommandError(
                ExitCode.USAGE,
                f"--fail-on {limit.text!r} compares with an earlier run, and there is none",
                "Add --baseline FILE, a file of an earlier --out.",
            )
    return found


def verdict_of_limits(
    limits: Sequence[Limit],
    now: Mapping[str, Any],
    baseline: Mapping[str, Any] | None,
    names: tuple[str, str] = ("the baseline", "this run"),
) -> Verdict:
    """What the limits say of a run.

    Raises:
        CommandError: A limit is about a path that was not measured.
    """
    from langcache_cli.operations.bench.limits import LimitError, verdict_of  # noqa: PLC0415 - as above

    try:
        return verdict_of(limits, now, baseline, names)
    except LimitError as error:
        raise CommandError(ExitCode.USAGE, f"--fail-on {error}") from None


def judge_limits(verdict: Verdict) -> None:
    """Fail if a limit is exceeded, or could not be judged; which one was printed, or is in the document.

    Raises:
        CommandError: One is. The result was printed.
    """
    if verdict.exceeded:
        count = len(verdict.exceeded)
        raise CommandError(ExitCode.CHECK_FAILED, f"{number_of(count, 'limit is', 'limits are')} exceeded")
    if verdict.unjudged:
        count = len(verdict.unjudged)
        message = f"{number_of(count, 'limit cannot', 'limits cannot')} be judged"
        raise CommandError(ExitCode.USAGE, message)


def require_measured(limits: Sequence[Limit], paths: Sequence[str]) -> None:
    """Refuse a limit of no path that is measured before the work, rather than after it.

    Raises:
        CommandError: There is one.
    """
    for limit in limits:
        if not any(limit.counts(path) for path in paths):
            whose = f"the path {limit.path!r} is not" if limit.path else "no path that it is about is"
            raise CommandError(
                ExitCode.USAGE,
                f"--fail-on {limit.text!r}: {whose} measured",
                f"Begin the limit with a path and a colon: {', '.join(paths)}.",
            )


def judge(report: BenchReport, trust: Trust, thresholds: Thresholds) -> None:
    """Fail if runs failed, or the numbers say nothing or are not good enough.

    Raises:
        CommandError: So it is. The result was printed.
    """
    errors = sum(item.errors for item in report.paths.values())
    for item in report.paths.values():
        if item.error is not None and (failure := explain(item.error)).code == ExitCode.NO_PERMISSION:
            message = f"{number_of(errors, 'run')} failed: {failure.message}"
            raise CommandError(failure.code, message, failure.hint)
    if errors:
        first = next(item.error for item in report.paths.values() if item.error is not None)
        raise CommandError(ExitCode.PARTIAL, f"{number_of(errors, 'run')} failed{_why(first)}")
    if trust.status == "invalid":
        raise CommandError(ExitCode.CHECK_FAILED, f"the result is INVALID: {trust.reasons[0]}")
    if message := _missed(report, thresholds):
        raise CommandError(ExitCode.CHECK_FAILED, message)


def _why(error: Exception) -> str:
    """What an exception of our own says; those of an application may hold anything."""
    from langcache_cli.operations.bench.ladder import NotCachedError  # noqa: PLC0415 - as above

    return f": {error}" if isinstance(error, NotCachedError) and str(error) else ""


def _missed(report: BenchReport, thresholds: Thresholds) -> str:
    from langcache_cli.operations.bench.path_names import is_hit  # noqa: PLC0415 - as above

    if thresholds.min_speedup is not None and (report.speedup or 0) < thresholds.min_speedup:
        return f"a hit is {report.speedup or 0:.1f} times faster than a miss, not {thresholds.min_speedup:g}"
    for name, path in report.paths.items():
        if thresholds.max_p95_ms is not None and (name == "hit" or is_hit(name)):
            p95 = path.percentiles_ms[P95]
            if p95 > thresholds.max_p95_ms:
                whose = "a hit" if name == "hit" else name
                return f"the p95 of {whose} is {p95:.3f} ms, higher than {thresholds.max_p95_ms:g} ms"
    return ""


def require_paths(paths: Collection[str], known: Collection[str], *, needed: Collection[str]) -> None:
    """Refuse paths that do not exist, and too few for the thresholds.

    Raises:
        CommandError: So it is.
    """
    for path in paths:
        if path not in known:
            raise CommandError(ExitCode.USAGE, f"unknown path {path!r}; paths: {', '.join(known)}")
    for path in needed:
        if paths and path not in paths:
            raise CommandError(ExitCode.USAGE, f"the threshold needs --path {path}, too")
