"""The command ``langcache bench``."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langcache_cli.cli.commands.options import Sample
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError, explain
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output
from langcache_cli.cli.running import execute

if TYPE_CHECKING:
    from langcache_cli.operations.bench import BenchReport
    from langcache_cli.operations.latencies import Latencies

P95 = 95.0


def bench(
    ctx: typer.Context,
    path: Annotated[
        list[str], typer.Option(help="Only this path. Repeatable.", metavar="noop|ping|get|hit|miss|database")
    ] = [],  # noqa: B006 - typer's way to say 'none given'
    duration: Annotated[
        float, typer.Option(help="How long to measure each path in each turn.", metavar="SECONDS", min=0.01)
    ] = 0.3,
    repeat: Annotated[int, typer.Option(help="Turns of each path, interleaved.", metavar="N", min=1)] = 5,
    concurrency: Annotated[int, typer.Option(help="Workers at a time.", metavar="N", min=1)] = 1,
    sample: Sample = False,
    min_speedup: Annotated[
        float | None,
        typer.Option(help="Exit with 1 if hits are fewer times faster than misses.", metavar="TIMES"),
    ] = None,
    max_p95_ms: Annotated[
        float | None, typer.Option(help="Exit with 1 if the p95 of a hit is higher.", metavar="MS")
    ] = None,
) -> None:
    """Measure latencies, from a ping to the database.

    All paths in one run, so that the gaps explain themselves. Uses keys of its own, which it removes;
    nothing is counted in the hit rates of the application.
    """
    execute(
        _bench(
            ctx.obj,
            path,
            sample=sample,
            min_speedup=min_speedup,
            max_p95_ms=max_p95_ms,
            seconds=duration,
            repeats=repeat,
            concurrency=concurrency,
        )
    )


async def _bench(
    invocation: Invocation,
    paths: list[str],
    *,
    sample: bool,
    min_speedup: float | None,
    max_p95_ms: float | None,
    **options: Any,
) -> None:
    from langcache_cli.operations.bench import (  # noqa: PLC0415 - see the package
        PATHS,
        WITHOUT_DATABASE,
        EmptyVocabularyError,
    )
    from langcache_cli.operations.bench import bench as measure  # noqa: PLC0415 - see the package
    from langcache_cli.operations.opening import open_cache  # noqa: PLC0415 - see the package

    needed = [
        *(["hit", "miss"] if min_speedup is not None else []),
        *(["hit"] if max_p95_ms is not None else []),
    ]
    _require_paths(paths, PATHS, needed=needed)
    settings, output = invocation.settings(), Output(invocation)
    needs_none = bool(paths) and WITHOUT_DATABASE.issuperset(paths) and not sample
    database = None if needs_none else invocation.database(settings, sample=sample)
    output.target(invocation.target(settings))
    if database is not None:
        output.target(f"from {database.target}")
    async with database or contextlib.nullcontext(), open_cache(settings) as cache:
        with output.progress("measuring") as on_progress:
            try:
                report = await measure(
                    cache, database, paths=paths or [*PATHS], on_progress=on_progress, **options
                )
            except EmptyVocabularyError as error:
                raise CommandError(
                    ExitCode.CHECK_FAILED, str(error), "Fill the table, or use --sample."
                ) from None
    if invocation.json:
        output.document("bench", {"target": invocation.target(settings), **_document(report)})
    else:
        _print(output, report)
    _judge(report, min_speedup, max_p95_ms)


def _print(output: Output, report: BenchReport) -> None:
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
    output.table(f"{report.repeats} turns, {report.concurrency} at a time", columns, rows)
    if report.speedup is not None:
        output.line(f"A hit is {report.speedup:.1f} times faster than a miss (medians).")


def _document(report: BenchReport) -> dict[str, Any]:
    return {
        "concurrency": report.concurrency,
        "repeats": report.repeats,
        "versions": report.versions,
        "speedup_ratio": report.speedup,
        "paths": {name: _latencies(item) for name, item in report.paths.items()},
    }


def _latencies(item: Latencies) -> dict[str, Any]:
    return {
        "count": item.count,
        "errors": item.errors,
        "runs_per_second": item.per_second,
        **{f"p{percent:g}_ms": value for percent, value in item.percentiles_ms.items()},
        "mean_ms": item.mean_ms,
        "max_ms": item.max_ms,
        "median_of_turns_lowest_ms": item.spread_ms[0],
        "median_of_turns_highest_ms": item.spread_ms[1],
    }


def _judge(report: BenchReport, min_speedup: float | None, max_p95_ms: float | None) -> None:
    errors = sum(item.errors for item in report.paths.values())
    for item in report.paths.values():
        if item.error is not None and (failure := explain(item.error)).code == ExitCode.NO_PERMISSION:
            message = f"{errors:,} runs failed: {failure.message}"
            raise CommandError(failure.code, message, failure.hint, reported=True)
    if errors:
        raise CommandError(ExitCode.PARTIAL, f"{errors:,} runs failed", reported=True)
    message = ""
    if min_speedup is not None and (report.speedup or 0) < min_speedup:
        message = f"a hit is {report.speedup or 0:.1f} times faster than a miss, not {min_speedup:g}"
    elif max_p95_ms is not None and (p95 := report.paths["hit"].percentiles_ms[P95]) > max_p95_ms:
        message = f"the p95 of a hit is {p95:.3f} ms, higher than {max_p95_ms:g} ms"
    if message:
        raise CommandError(ExitCode.CHECK_FAILED, message, reported=True)


def _require_paths(paths: list[str], known: Collection[str], *, needed: Collection[str]) -> None:
    for path in paths:
        if path not in known:
            raise CommandError(ExitCode.USAGE, f"unknown path {path!r}; paths: {', '.join(known)}")
    for path in needed:
        if paths and path not in paths:
            raise CommandError(ExitCode.USAGE, f"the threshold needs --path {path}, too")
