"""The command ``langcache check``."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

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
    """Check that Redis and the database answer.

    For CI, cron and load balancers. The database is checked if DATABASE_URL is set.
    Exits with 0 if all is well, 69 if something cannot be reached, 77 if a login is refused, 1 otherwise.
    """
    execute(_check(ctx.obj, roundtrip=roundtrip, sample=sample))


async def _check(invocation: Invocation, *, roundtrip: bool, sample: bool) -> None:
    from langcache_cli.operations.check import check as run  # noqa: PLC0415 - see the package
    from langcache_cli.operations.opening import open_cache  # noqa: PLC0415 - see the package

    settings, output = invocation.settings(), Output(invocation)
    output.target(invocation.target(settings))
    database = invocation.database_if_configured(sample=sample)
    async with database or contextlib.nullcontext(), open_cache(settings) as cache:
        report = await run(cache, database, roundtrip=roundtrip)
    _print(output, invocation, report)
    _judge(report)


def _print(output: Output, invocation: Invocation, report: CheckReport) -> None:
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
        target = invocation.target(invocation.settings())
        output.document("check", {"target": target, "passed": not report.failures, "checks": checks})
        return
    if invocation.quiet and not report.failures:
        return
    rows = [
        (
            "failed" if result.error else "ok",
            result.name,
            result.detail if result.error is None else "",
            milliseconds(1000 * result.seconds),
        )
        for result in report.results
    ]
    output.table("", ("Result", "Check", "Found", "Took"), rows, text_columns=3)


def _judge(report: CheckReport) -> None:
    for result in report.failures:
        if result.error is None:
            continue
        failure = explain(result.error)
        code = ExitCode.CHECK_FAILED if failure.code == ExitCode.BUG else failure.code
        hint = "" if failure.code == ExitCode.BUG else failure.hint
        raise CommandError(code, f"{result.name}: {failure.message}", hint, reported=True)
