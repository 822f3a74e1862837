"""The command ``langcache check``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from langcache_cli.cli.checks.options import Format, least_keys, type_names
from langcache_cli.cli.commands.options import Sample
from langcache_cli.cli.completion.values import cache_types
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.formats.nagios_errors import nagios_errors
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output
from langcache_cli.cli.running import execute

if TYPE_CHECKING:
    from langcache_cli.operations.check import CheckRequest

HUNDRED = 100
LONGEST_MS = 60_000
ROUNDTRIP = typer.Option("--roundtrip", help="Also store, read and remove an entry.")
REQUIRE_WARM = typer.Option(
    "--require-warm",
    metavar="TYPE",
    help="Fail if this cache type has no entry, whichever function it is of. Repeatable.",
    autocompletion=cache_types,
)
MIN_KEYS = typer.Option(
    "--min-keys", metavar="TYPE=N", help="Fail if this cache type has fewer keys. Repeatable."
)
WARN_HIT_RATE = typer.Option(
    help="Warn if the hit rate of the last hour is lower.", metavar="PERCENT", min=0, max=HUNDRED
)
CRIT_HIT_RATE = typer.Option(
    help="Fail if the hit rate of the last hour is lower.", metavar="PERCENT", min=0, max=HUNDRED
)
WARN_LATENCY = typer.Option(
    help="Warn if a round trip to Redis takes longer.", metavar="MS", min=0, max=LONGEST_MS
)
CRIT_LATENCY = typer.Option(
    help="Fail if a round trip to Redis takes longer.", metavar="MS", min=0, max=LONGEST_MS
)
FORMAT = typer.Option("--format", help="How to print the report: text by default; --json is json.")


def check(
    ctx: typer.Context,
    roundtrip: Annotated[bool, ROUNDTRIP] = False,
    require_warm: Annotated[list[str] | None, REQUIRE_WARM] = None,
    min_keys: Annotated[list[str] | None, MIN_KEYS] = None,
    warn_hit_rate: Annotated[float | None, WARN_HIT_RATE] = None,
    crit_hit_rate: Annotated[float | None, CRIT_HIT_RATE] = None,
    warn_latency: Annotated[float | None, WARN_LATENCY] = None,
    crit_latency: Annotated[float | None, CRIT_LATENCY] = None,
    format_: Annotated[Format | None, FORMAT] = None,
    sample: Sample = False,
) -> None:
    """Check that Redis and the database answer.

    Also checks that Redis allows what the cache needs: for CI, cron and load balancers. Of a cluster each
    node is asked, of a service behind Sentinel the primary and each sentinel. The database is checked if
    DATABASE_URL is set. Nothing is written, except with --roundtrip. What a check took includes connecting.

    Exits with 0 if all is well, 69 if something cannot be reached or written to, 75 if Redis is starting or
    busy: try again, 77 if a login or a right is refused, 78 if a URL names the wrong server, 1 otherwise.
    With --format nagios it exits with 0, 1, 2 or 3 as plugins of Nagios do.

    Examples:
        langcache check --roundtrip
        langcache check --require-warm vocabulary --format github
        langcache check --warn-latency 20 --crit-latency 100 --format nagios
    """
    from langcache_cli.cli.checks.run import run_checks  # noqa: PLC0415 - see the package
    from langcache_cli.operations.check import CheckRequest  # noqa: PLC0415 - as above
    from langcache_cli.operations.statistics.limits import HitRateLimits, LatencyLimits  # noqa: PLC0415 - as above

    invocation: Invocation = ctx.obj
    if invocation.json and format_ not in (None, Format.JSON):
        raise typer.BadParameter("--json asks for another format", param_hint="--format")
    shown = Format.JSON if invocation.json else format_

    def request() -> CheckRequest:
        limits = HitRateLimits(warn_hit_rate, crit_hit_rate), LatencyLimits(warn_latency, crit_latency)
        if any(limit.contradict for limit in limits):
            message = "what is critical must be worse than what is a warning: see --warn-... and --crit-..."
            raise CommandError(ExitCode.USAGE, message)
        types = type_names("--require-warm", require_warm or ())
        return CheckRequest(roundtrip, types, least_keys(min_keys or ()), *limits, sample=sample)

    if shown is Format.NAGIOS:
        invocation = replace(invocation, quiet=True)
        with nagios_errors(Output(invocation), debug=invocation.debug):
            raise typer.Exit(execute(run_checks(invocation, request(), sample=sample, format_=shown)))
    invocation = replace(invocation, json=shown is Format.JSON)
    execute(run_checks(invocation, request(), sample=sample, format_=shown))
