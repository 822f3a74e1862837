"""The command ``langcache check``."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from langcache_cli.cli.commands.findings import fleet_document, show_nodes
from langcache_cli.cli.commands.options import Sample
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError, explain
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output, milliseconds
from langcache_cli.cli.running import execute

if TYPE_CHECKING:
    from langcache_cli.operations.check import CheckReport


def check(
    ctx: typer.Context,
    roundtrip: Annotated[
        bool, typer.Option("--roundtrip", help="Also store, read and remove an entry.")
    ] = False,
    sample: Sample = False,
) -> None:
    """Check that Redis and the database answer, and that Redis allows what the cache needs.

    For CI, cron and load balancers. Of a cluster each node is asked, of a service behind Sentinel the primary
    and each sentinel. The database is checked if DATABASE_URL is set. Nothing is written.
    Exits with 0 if all is well, 69 if something cannot be reached or takes no changes, 75 if it may work in a
    moment, 77 if a login or a right is refused, 78 if a URL names the wrong server, 1 otherwise.

    Examples:
        langcache check
        langcache check --roundtrip --json
    """
    execute(_check(ctx.obj, roundtrip=roundtrip, sample=sample))


async def _check(invocation: Invocation, *, roundtrip: bool, sample: bool) -> None:
    from langcache_cli.operations.check import check as run  # noqa: PLC0415 - see the package
    from langcache_cli.operations.opening import open_cache  # noqa: PLC0415 - see the package

    settings, output = invocation.settings(), Output(invocation)
    database = invocation.database_if_configured(settings, sample=sample)
    output.target(invocation.target(settings))
    if database is not None:
        output.target(f"from {database.target}")
    async with database or contextlib.nullcontext(), open_cache(settings) as cache:
        report = await run(cache, database, roundtrip=roundtrip)
    _print(output, invocation, report, invocation.target(settings))
    _judge(report)


def _print(output: Output, invocation: Invocation, report: CheckReport, target: str) -> None:
    if invocation.json:
        checks = [
            {
                "name": result.name,
                "passed": result.error is None,
                "detail": result.detail,
                "duration_ms": 1000 * result.seconds,
            }
            for result in report.results
        ]
        output.document(
            "check",
            {
                "target": target,
                "passed": not report.failures,
                "checks": checks,
                **fleet_document(report.fleet),
            },
        )
        return
    if invocation.quiet and not report.failures:
        return
    rows = [
        (
            "failed" if result.error else "ok",
            result.name,
            result.detail,
            milliseconds(1000 * result.seconds),
        )
        for result in report.results
    ]
    output.table("", ("Result", "Check", "Found", "Took"), rows, text_columns=3)
    if report.fleet.nodes:
        output.line("")
        show_nodes(output, report.fleet)


def _judge(report: CheckReport) -> None:
    from langcache_cli.operations.check import CheckFailedError  # noqa: PLC0415 - see the package

    worst = report.worst
    if worst is None or worst.error is None:
        return
    message = f"{worst.name}: {worst.detail}"
    if isinstance(worst.error, CheckFailedError):
        raise CommandError(ExitCode.CHECK_FAILED, message, worst.hint, reported=True)
    failure = explain(worst.error)
    if not worst.hint:
        message = f"{worst.name}: {failure.message}"
    raise CommandError(failure.code, message, worst.hint or failure.hint, reported=True)
