"""``langcache warm --app``: the functions of an application instead of the vocabulary services."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from langcache_cli.cli.commands.warm_counts import COLUMNS, cells, fields, require_stored
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output
from langcache_cli.cli.streams import stdout_as_stderr
from langcache_cli.readable import number_of

if TYPE_CHECKING:
    from langcache_cli.operations.warm_application import ApplicationReport


async def warm_application(
    invocation: Invocation,
    app: str,
    *,
    types: Collection[str],
    missing_only: bool,
    rate: float | None,
    dry_run: bool,
) -> None:
    """Warm every function of an application that has a warmer, or those of some cache types."""
    from langcache_cli.operations.application import opened_application  # noqa: PLC0415 - see the package
    from langcache_cli.operations.opening import open_cache  # noqa: PLC0415 - as above
    from langcache_cli.operations.warm_application import ApplicationWarm  # noqa: PLC0415 - as above

    settings, output = invocation.settings(), Output(invocation)
    output.target(f"{invocation.target(settings)}\nfrom {app}")
    run: ApplicationWarm | None = None
    try:
        with stdout_as_stderr():
            async with open_cache(settings) as cache, opened_application(app):
                with output.progress("warming") as on_progress:
                    run = ApplicationWarm(
                        cache,
                        types=types,
                        missing_only=missing_only,
                        rate=rate,
                        dry_run=dry_run,
                        on_progress=lambda done, _: on_progress(done, 0),
                    )
                    report = await run.run()
    except BaseException:  # an interruption, too: what was stored stays
        if run is not None and run.report().total.written and not invocation.json:
            _print(output, run.report())
        raise
    if invocation.json:
        output.document("warm", {"target": invocation.target(settings), **_document(report)})
    elif dry_run or not invocation.quiet:
        _print(output, report)
    _judge(report, app, types)


def _print(output: Output, report: ApplicationReport) -> None:
    if not report.lines:
        return
    rows = [(line.function, *cells(line.counts, line.seconds)) for line in report.lines]
    columns = ("Function", *COLUMNS)
    output.table("Warmed" if not report.dry_run else "Would warm", columns, rows, text_columns=1)
    total = report.total
    output.line(
        f"Would warm {number_of(total.read, 'entry', 'entries')}; nothing was written."
        if report.dry_run
        else f"{number_of(total.written, 'entry', 'entries')} of "
        f"{number_of(len(report.lines), 'function')} warmed."
    )


def _document(report: ApplicationReport) -> dict[str, Any]:
    return {
        "dry_run": report.dry_run,
        "written": report.total.written,
        "lines": [{"function": line.function, **fields(line.counts, line.seconds)} for line in report.lines],
    }


def _judge(report: ApplicationReport, app: str, types: Collection[str]) -> None:
    if not report.lines:
        kind = f" of type {' or '.join(types)}" if types else ""
        raise CommandError(
            ExitCode.CHECK_FAILED,
            f"there was nothing to warm: no function{kind} that {app} defines has a warmer",
            "Decorate an async generator of arguments with @function.warmer.",
        )
    require_stored(report.total)
