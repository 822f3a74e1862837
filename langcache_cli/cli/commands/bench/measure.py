"""The command ``langcache bench``: measure, compare, judge."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from langcache_cli.cli.command_line import command_line
from langcache_cli.cli.commands.bench.compare import read_result
from langcache_cli.cli.commands.bench.judging import (
    Thresholds,
    judge,
    judge_limits,
    limits_of,
    require_measured,
    require_paths,
    verdict_of_limits,
)
from langcache_cli.cli.commands.bench.options import (
    Application,
    Baseline,
    Concurrency,
    Duration,
    FailOn,
    MaxP95,
    MinSpeedup,
    OpenLoopRate,
    Out,
    Paths,
    Repeats,
    Report,
)
from langcache_cli.cli.commands.bench.text import print_limits, print_report
from langcache_cli.cli.commands.options import Sample
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output
from langcache_cli.cli.report_file import ReportFile
from langcache_cli.cli.running import execute
from langcache_cli.cli.streams import stdout_as_stderr

if TYPE_CHECKING:
    from langcache_cli.caching import Cache, CacheSettings
    from langcache_cli.operations.bench.limits import Limit
    from langcache_cli.operations.bench.running import BenchReport, LadderOf


def bench(
    ctx: typer.Context,
    path: Paths = [],  # noqa: B006 - typer's way to say 'none given'
    duration: Duration = 0.3,
    repeat: Repeats = 5,
    concurrency: Concurrency = 1,
    rate: OpenLoopRate = None,
    sample: Sample = False,
    app: Application = None,
    min_speedup: MinSpeedup = None,
    max_p95_ms: MaxP95 = None,
    baseline: Baseline = None,
    fail_on: FailOn = [],  # noqa: B006 - as above
    out: Out = None,
    report: Report = None,
) -> None:
    """Measure latencies, from a ping to the database.

    All paths in one run. Uses keys of its own and removes them; hit rates of the application do not change.

    Paths: noop (what measuring costs), ping (a round trip to Redis), get (GET of an entry, not decoded), hit
    (a cached call), miss (lease, database, store), database (the look-up without the cache); the first three
    need no database. With --app: noop, ping, and for each function that has a warmer "PREFIX:FUNCTION hit"
    (the cached call) and "PREFIX:FUNCTION origin" (the function without the cache).

    Examples:
        langcache bench --sample
        langcache bench --sample --rate 500 --duration 5 --report bench.html
        langcache bench --path ping --path get --out before.json
        langcache bench --app yourapp.warming:database --baseline before.json --fail-on 'p50>+25%'
    """
    if ctx.invoked_subcommand is not None:
        return
    _refuse_both("--concurrency and --rate", rate is not None and concurrency != 1)
    _refuse_both("--app and --sample", app is not None and sample)
    load = _Load(duration, repeat, concurrency, rate)
    run = _Run(
        paths=tuple(path),
        load=load,
        sample=sample,
        app=app,
        thresholds=Thresholds(min_speedup, max_p95_ms),
        limits=tuple(limits_of(fail_on, has_baseline=baseline is not None)),
        before=_before(baseline, load),
    )
    files = _Files(
        None if out is None else ReportFile("--out", out),
        None if report is None else ReportFile("--report", report),
    )
    execute(_bench(ctx.obj, run, files, command_line(ctx)))


def _refuse_both(options: str, are_both: bool) -> None:
    if are_both:
        raise CommandError(ExitCode.USAGE, f"{options}: give one of them")


@dataclass(frozen=True, slots=True)
class _Load:
    seconds: float
    repeats: int
    concurrency: int
    rate: float | None


@dataclass(frozen=True, slots=True)
class _Run:
    """What was asked for."""

    paths: tuple[str, ...]
    load: _Load
    sample: bool
    app: str | None
    thresholds: Thresholds
    limits: tuple[Limit, ...]
    before: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Files:
    out: ReportFile | None
    report: ReportFile | None

    def require_places(self) -> None:
        for file in (self.out, self.report):
            if file is not None:
                file.require_place()

    def write(self, output: Output, document: dict[str, Any]) -> None:
        import json  # noqa: PLC0415 - see the package

        from langcache_cli.operations.bench.baseline import SCHEMA  # noqa: PLC0415 - as above
        from langcache_cli.operations.bench.page import page_of  # noqa: PLC0415 - as above

        if self.out is not None:
            text = json.dumps({"schema": SCHEMA, **document}, ensure_ascii=False, default=str)
            self.out.write(text + "\n")
            output.note(f"The result is in {self.out.path}.")
        if self.report is not None:
            self.report.write(page_of(document))
            output.note(f"The report is in {self.report.path}.")


async def _bench(invocation: Invocation, run: _Run, files: _Files, command: str) -> None:
    from langcache_cli.operations.bench.comparison import compare  # noqa: PLC0415 - see the package
    from langcache_cli.operations.bench.document import document_of  # noqa: PLC0415 - as above
    from langcache_cli.operations.bench.ladder import PATHS  # noqa: PLC0415 - as above
    from langcache_cli.operations.bench.trust import trust_in  # noqa: PLC0415 - as above

    if run.app is None:
        require_paths(run.paths, PATHS, needed=run.thresholds.paths)
        require_measured(run.limits, run.paths or tuple(PATHS))
    files.require_places()
    settings, output = invocation.settings(), Output(invocation)
    report = await _measured(invocation, settings, output, run)
    trust = trust_in(report)
    document = {
        "target": invocation.target(settings),
        "command_line": command,
        "settings": _variables(settings),
        **document_of(report, trust),
    }
    comparison = None if run.before is None else compare(document, run.before)
    verdict = verdict_of_limits(run.limits, document, run.before)
    if comparison is not None:
        document["comparison"] = asdict(comparison)
    if run.limits:
        document |= {"exceeded": list(verdict.exceeded), "unjudged": list(verdict.unjudged)}
    if invocation.json:
        output.document("bench", document)
    else:
        print_report(output, report, trust, comparison)
        print_limits(output, verdict)
    files.write(output, document)
    judge(report, trust, run.thresholds)
    judge_limits(verdict)


async def _measured(
    invocation: Invocation, settings: CacheSettings, output: Output, run: _Run
) -> BenchReport:
    from langcache_cli.operations.bench.application import (  # noqa: PLC0415 - see the package
        NothingToMeasureError,
        UnknownPathError,
    )
    from langcache_cli.operations.bench.ladder import EmptyVocabularyError  # noqa: PLC0415 - as above
    from langcache_cli.operations.bench.running import bench as measure  # noqa: PLC0415 - as above

    of_what = _words if run.app is None else _application
    async with of_what(invocation, settings, output, run) as (cache, ladder_of):
        with output.progress("measuring") as on_progress:
            try:
                return await measure(cache, ladder_of, on_progress=on_progress, **asdict(run.load))
            except EmptyVocabularyError as error:
                hint = "Fill the table, or use --sample."
                raise CommandError(ExitCode.CHECK_FAILED, str(error), hint) from None
            except UnknownPathError as error:
                raise CommandError(ExitCode.USAGE, str(error)) from None
            except NothingToMeasureError as error:
                message = f"there is nothing to measure: {error}"
                hint = "Decorate an async generator of arguments with @function.warmer."
                raise CommandError(ExitCode.CHECK_FAILED, message, hint) from None


@asynccontextmanager
async def _words(
    invocation: Invocation, settings: CacheSettings, output: Output, run: _Run
) -> AsyncIterator[tuple[Cache, LadderOf]]:
    """The paths about the words of the database."""
    from langcache_cli.operations.bench.ladder import WITHOUT_DATABASE  # noqa: PLC0415 - as above
    from langcache_cli.operations.bench.running import ladder_about  # noqa: PLC0415 - as above
    from langcache_cli.operations.opening import open_cache  # noqa: PLC0415 - as above

    needs_none = bool(run.paths) and WITHOUT_DATABASE.issuperset(run.paths) and not run.sample
    database = None if needs_none else invocation.database_if_configured(settings, sample=run.sample)
    if database is None and not needs_none:
        raise CommandError(
            ExitCode.BAD_CONFIGURATION,
            "DATABASE_URL is not set, and 'hit', 'miss' and 'database' need a database",
            "Set DATABASE_URL, add --sample, or measure what needs none: --path ping --path get.",
        )
    output.target(invocation.target(settings))
    if database is not None:
        output.target(f"from {database.target}")
    async with database or contextlib.nullcontext(), open_cache(settings) as cache:
        yield cache, ladder_about(database, run.paths)


@asynccontextmanager
async def _application(
    invocation: Invocation, settings: CacheSettings, output: Output, run: _Run
) -> AsyncIterator[tuple[Cache, LadderOf]]:
    """The paths of the functions of an application."""
    from langcache_cli.operations.application import opened_application  # noqa: PLC0415 - as above
    from langcache_cli.operations.bench.application import ApplicationLadder  # noqa: PLC0415 - as above
    from langcache_cli.operations.opening import open_cache  # noqa: PLC0415 - as above

    async def made(cache: Cache, planned_seconds: float) -> ApplicationLadder:
        overlapping = run.load.concurrency > 1 or run.load.rate is not None
        ladder = await ApplicationLadder.of_warmers(
            cache, planned_seconds, paths=run.paths, overlapping=overlapping
        )
        for sentence in ladder.left_out:
            output.note(sentence)
        try:
            require_measured(run.limits, tuple(ladder.runs))
        except CommandError:
            await ladder.aclose()
            raise
        return ladder

    app = run.app or ""
    output.target(f"{invocation.target(settings)}\nfrom {app}")
    with stdout_as_stderr():
        async with open_cache(settings) as cache, opened_application(app):
            yield cache, made


def _before(baseline: Path | None, load: _Load) -> dict[str, Any] | None:
    """The document to compare with; None if none is asked for.

    Raises:
        CommandError: It cannot be compared with.
    """
    from langcache_cli.operations.bench.baseline import OtherLoadError, require_load  # noqa: PLC0415 - as above

    if baseline is None:
        return None
    document = read_result("--baseline", baseline)
    try:
        require_load(document, rate=load.rate, concurrency=load.concurrency)
    except OtherLoadError as error:
        raise CommandError(ExitCode.USAGE, f"--baseline {baseline}: {error}") from None
    return document


def _variables(settings: CacheSettings) -> dict[str, str]:
    """The settings that are single values, under the names of their variables; secrets are left out."""
    return {
        (name if name.startswith("redis_") else f"langcache_{name}").upper(): str(value)
        for name, value in settings
        if isinstance(value, bool | int | float | str)
    }
