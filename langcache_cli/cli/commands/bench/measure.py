"""The command ``langcache bench``."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langcache_cli.cli.command_line import command_line
from langcache_cli.cli.commands.options import Sample
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError, explain
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output
from langcache_cli.cli.report_file import ReportFile
from langcache_cli.cli.running import execute

if TYPE_CHECKING:
    from langcache_cli.caching import CacheSettings
    from langcache_cli.operations.bench.comparison import Comparison
    from langcache_cli.operations.bench.running import BenchReport
    from langcache_cli.operations.bench.trust import Trust

P95 = 95.0


Rate = Annotated[
    float | None,
    typer.Option(
        help="Begin so many runs a second instead, whether or not earlier ones have ended; each is timed "
        "from when it should have begun.",
        metavar="N",
        min=0.1,
        max=1_000_000,
    ),
]
Baseline = Annotated[
    Path | None,
    typer.Option(help="Compare with an earlier run: a file of --json or --report.", metavar="FILE"),
]
Report = Annotated[
    Path | None,
    typer.Option(help="Write the result with charts into this HTML file, replacing it.", metavar="FILE"),
]


def bench(
    ctx: typer.Context,
    path: Annotated[
        list[str], typer.Option(help="Only this path. Repeatable.", metavar="noop|ping|get|hit|miss|database")
    ] = [],  # noqa: B006 - typer's way to say 'none given'
    duration: Annotated[
        float, typer.Option(help="How long to measure each path in each turn.", metavar="SECONDS", min=0.01)
    ] = 0.3,
    repeat: Annotated[int, typer.Option(help="Turns of each path, interleaved.", metavar="N", min=1)] = 5,
    concurrency: Annotated[
        int, typer.Option(help="Workers at a time, each waiting for its last run to end.", metavar="N", min=1)
    ] = 1,
    rate: Rate = None,
    sample: Sample = False,
    min_speedup: Annotated[
        float | None,
        typer.Option(help="Exit with 1 if hits are fewer times faster than misses.", metavar="TIMES"),
    ] = None,
    max_p95_ms: Annotated[
        float | None, typer.Option(help="Exit with 1 if the p95 of a hit is higher.", metavar="MS")
    ] = None,
    baseline: Baseline = None,
    report: Report = None,
) -> None:
    """Measure latencies, from a ping to the database.

    All paths in one run, so that the gaps explain themselves. Uses keys of its own, which it removes;
    nothing is counted in the hit rates of the application.

    Examples:
        langcache bench --sample
        langcache bench --sample --rate 500 --duration 5 --report bench.html
        langcache bench --path ping --path get
    """
    if rate is not None and concurrency != 1:
        raise CommandError(ExitCode.USAGE, "--concurrency and --rate: give one of them")
    thresholds = _Thresholds(min_speedup, max_p95_ms)
    options: dict[str, Any] = {
        "sample": sample,
        "seconds": duration,
        "repeats": repeat,
        "concurrency": concurrency,
        "rate": rate,
    }
    file = None if report is None else ReportFile("--report", report)
    execute(_bench(ctx.obj, path, thresholds, command_line(ctx), baseline=baseline, file=file, **options))


async def _bench(
    invocation: Invocation,
    paths: list[str],
    thresholds: _Thresholds,
    command: str,
    *,
    baseline: Path | None,
    file: ReportFile | None,
    **options: Any,
) -> None:
    from langcache_cli.operations.bench.comparison import compare  # noqa: PLC0415 - see the package
    from langcache_cli.operations.bench.document import document_of  # noqa: PLC0415 - see the package
    from langcache_cli.operations.bench.ladder import PATHS  # noqa: PLC0415 - see the package
    from langcache_cli.operations.bench.page import page_of  # noqa: PLC0415 - see the package
    from langcache_cli.operations.bench.trust import trust_in  # noqa: PLC0415 - see the package

    _require_paths(paths, PATHS, needed=thresholds.paths)
    before = _read(baseline, rate=options["rate"], concurrency=options["concurrency"])
    if file is not None:
        file.require_place()
    settings, output = invocation.settings(), Output(invocation)
    report = await _measured(invocation, settings, output, paths, **options)
    trust = trust_in(report)
    comparison = None if before is None else compare(report, before)
    document = {
        "target": invocation.target(settings),
        "command_line": command,
        "settings": _variables(settings),
        **document_of(report, trust, comparison),
    }
    if invocation.json:
        output.document("bench", document)
    else:
        _print(output, report, trust, comparison)
    if file is not None:
        file.write(page_of(document))
        output.note(f"The report is in {file.path}.")
    _judge(report, trust, thresholds)


async def _measured(
    invocation: Invocation,
    settings: CacheSettings,
    output: Output,
    paths: list[str],
    *,
    sample: bool,
    **options: Any,
) -> BenchReport:
    from langcache_cli.operations.bench.ladder import (  # noqa: PLC0415 - see the package
        PATHS,
        WITHOUT_DATABASE,
        EmptyVocabularyError,
    )
    from langcache_cli.operations.bench.running import bench as measure  # noqa: PLC0415 - see the package
    from langcache_cli.operations.opening import open_cache  # noqa: PLC0415 - see the package

    needs_none = bool(paths) and WITHOUT_DATABASE.issuperset(paths) and not sample
    database = None if needs_none else invocation.database(settings, sample=sample)
    output.target(invocation.target(settings))
    if database is not None:
        output.target(f"from {database.target}")
    async with database or contextlib.nullcontext(), open_cache(settings) as cache:
        with output.progress("measuring") as on_progress:
            try:
                return await measure(
                    cache, database, paths=paths or [*PATHS], on_progress=on_progress, **options
                )
            except EmptyVocabularyError as error:
                raise CommandError(
                    ExitCode.CHECK_FAILED, str(error), "Fill the table, or use --sample."
                ) from None


@dataclass(frozen=True, slots=True)
class _Thresholds:
    min_speedup: float | None
    max_p95_ms: float | None

    @property
    def paths(self) -> list[str]:
        """Those that must be measured."""
        return [
            *(["hit", "miss"] if self.min_speedup is not None else []),
            *(["hit"] if self.max_p95_ms is not None else []),
        ]


def _read(baseline: Path | None, *, rate: float | None, concurrency: int) -> dict[str, Any] | None:
    """The document to compare with; None if none is asked for."""
    from langcache_cli.operations.bench.baseline import (  # noqa: PLC0415 - see the package
        BaselineError,
        OtherLoadError,
        read_baseline,
    )

    try:
        if baseline is None:
            return None
        return read_baseline(baseline, rate=rate, concurrency=concurrency)
    except OtherLoadError as error:
        raise CommandError(ExitCode.USAGE, f"--baseline {baseline}: {error}") from None
    except BaselineError as error:
        raise CommandError(ExitCode.BAD_CONFIGURATION, f"--baseline: {error}") from None


def _print(output: Output, report: BenchReport, trust: Trust, comparison: Comparison | None) -> None:
    rows = [
        (
            name,
            f"{item.count:,}",
            f"{item.errors:,}",
            *(f"{item.percentiles_ms[percent]:.3f}" for percent in (50.0, 90.0, 95.0, 99.0)),
            f"{item.max_ms:.2f}",
            f"{item.per_second:,.0f}",
        )
        for name, item in report.paths.items()
    ]
    columns = ("Path (ms)", "Runs", "Errors", "p50", "p90", "p95", "p99", "max", "Runs/s")
    asked = f"{report.rate:,g} a second" if report.rate else f"{report.concurrency} at a time"
    output.table(f"{report.repeats} turns, {asked}", columns, rows)
    for name, item in report.paths.items():
        if (schedule := item.schedule) is not None:
            output.line(
                f"{name}: {schedule.reached_per_second:,.0f} runs a second begun, "
                f"late by {schedule.lag_p50_ms:.3f} ms (median), {schedule.lag_max_ms:.2f} ms at most"
            )
    if report.speedup is not None:
        output.line(f"A hit is {report.speedup:.1f} times faster than a miss (medians).")
    for reason in trust.reasons:
        output.line(f"{trust.status.upper()}: {reason}")
    if comparison is not None:
        _print_comparison(output, comparison)


def _print_comparison(output: Output, comparison: Comparison) -> None:
    rows = [
        (
            name,
            change.outcome,
            f"{change.ratio:.2f}",
            "-" if change.lowest is None else f"{change.lowest:.2f} to {change.highest:.2f}",
        )
        for name, change in comparison.paths.items()
    ]
    output.line("")
    columns = ("Path", "Median against the baseline", "Times", "Interval")
    output.table("Against the baseline", columns, rows, text_columns=2)
    for difference in comparison.differences:
        output.line(difference)


def _variables(settings: CacheSettings) -> dict[str, str]:
    """The settings that are single values, under the names of their variables; secrets are left out."""
    return {
        (name if name.startswith("redis_") else f"langcache_{name}").upper(): str(value)
        for name, value in settings
        if isinstance(value, bool | int | float | str)
    }


def _judge(report: BenchReport, trust: Trust, thresholds: _Thresholds) -> None:
    errors = sum(item.errors for item in report.paths.values())
    for item in report.paths.values():
        if item.error is not None and (failure := explain(item.error)).code == ExitCode.NO_PERMISSION:
            message = f"{errors:,} runs failed: {failure.message}"
            raise CommandError(failure.code, message, failure.hint, reported=True)
    if errors:
        raise CommandError(ExitCode.PARTIAL, f"{errors:,} runs failed", reported=True)
    message = ""
    if trust.status == "invalid":
        message = f"the result is INVALID: {trust.reasons[0]}"
    elif thresholds.min_speedup is not None and (report.speedup or 0) < thresholds.min_speedup:
        message = (
            f"a hit is {report.speedup or 0:.1f} times faster than a miss, not {thresholds.min_speedup:g}"
        )
    elif thresholds.max_p95_ms is not None:
        p95 = report.paths["hit"].percentiles_ms[P95]
        if p95 > thresholds.max_p95_ms:
            message = f"the p95 of a hit is {p95:.3f} ms, higher than {thresholds.max_p95_ms:g} ms"
    if message:
        raise CommandError(ExitCode.CHECK_FAILED, message, reported=True)


def _require_paths(paths: list[str], known: Collection[str], *, needed: Collection[str]) -> None:
    for path in paths:
        if path not in known:
            raise CommandError(ExitCode.USAGE, f"unknown path {path!r}; paths: {', '.join(known)}")
    for path in needed:
        if paths and path not in paths:
            raise CommandError(ExitCode.USAGE, f"the threshold needs --path {path}, too")
