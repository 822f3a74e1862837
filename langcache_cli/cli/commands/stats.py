"""The command ``langcache stats``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from langcache_cli.cli.completion.values import cache_types, windows
from langcache_cli.cli.formats.atomic_file import AtomicFile
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.statistics.options import Format, StatsOptions

HUNDRED = 100
TYPE = typer.Option(
    "--type",
    metavar="TYPE",
    help="Show this cache type only, with its functions. Repeatable.",
    autocompletion=cache_types,
)
WINDOW = typer.Option(
    help="How far back, such as 5m, 6h or 7d.",
    metavar="TIME",
    autocompletion=windows,
)
SINCE_LAST = typer.Option("--since-last", help="Show what was counted since the last run with --state FILE.")
STATE = typer.Option(
    help="File that remembers the last run; required with --since-last. Use one file per job.",
    metavar="FILE",
)
SERVER = typer.Option("--server", help="Show what the Redis server reports, and no cache types.")
MEMORY = typer.Option("--memory", help="Show the memory of each type.")
EXACT = typer.Option("--exact", help="Look at every key; otherwise at 5,000 where there are more.")
HISTORY = typer.Option("--history", help="Show the course of the window: 1h, 6h, 24h or 7d.")
FORMAT = typer.Option("--format", help="How to print the report: a table by default; --json is json.")
TEXTFILE = typer.Option(
    help="Write metrics for the textfile collector of node_exporter, also when Redis is down.", metavar="FILE"
)
MIN_HIT_RATE = typer.Option(
    help="Exit with 1 if the hit rate is lower.", metavar="PERCENT", min=0, max=HUNDRED
)
WARN_HIT_RATE = typer.Option(help="Warn if the hit rate is lower.", metavar="PERCENT", min=0, max=HUNDRED)
CRIT_HIT_RATE = typer.Option(
    help="For --format nagios: critical if the hit rate is lower; else as --min-hit-rate.",
    metavar="PERCENT",
    min=0,
    max=HUNDRED,
)


def stats(
    ctx: typer.Context,
    types: Annotated[list[str] | None, TYPE] = None,
    window: Annotated[str, WINDOW] = "1h",
    since_last: Annotated[bool, SINCE_LAST] = False,
    state: Annotated[Path | None, STATE] = None,
    server: Annotated[bool, SERVER] = False,
    memory: Annotated[bool, MEMORY] = False,
    exact: Annotated[bool, EXACT] = False,
    history: Annotated[bool, HISTORY] = False,
    format_: Annotated[Format | None, FORMAT] = None,
    textfile: Annotated[Path | None, TEXTFILE] = None,
    min_hit_rate: Annotated[float | None, MIN_HIT_RATE] = None,
    warn_hit_rate: Annotated[float | None, WARN_HIT_RATE] = None,
    crit_hit_rate: Annotated[float | None, CRIT_HIT_RATE] = None,
) -> None:
    """Show hit rates and latencies.

    For each cache type, with the causes of the misses and what the server reports. The numbers are those of
    all processes of the application; reads by this command are not counted.

    Examples:
        langcache stats --window 24h --history
        langcache stats --type vocabulary
        langcache stats --window 5m --min-hit-rate 80
        langcache stats -q --window 5m --textfile langcache.prom
    """
    from langcache_cli.cli.statistics.run import run  # noqa: PLC0415 - see the package
    from langcache_cli.operations.statistics.limits import HitRateLimits  # noqa: PLC0415 - as above

    invocation: Invocation = ctx.obj
    if invocation.json and format_ not in (None, Format.JSON):
        raise typer.BadParameter("--json asks for another format", param_hint="--format")
    critical = max((rate for rate in (min_hit_rate, crit_hit_rate) if rate is not None), default=None)
    options = StatsOptions(
        window=window,
        format=Format.JSON if invocation.json else format_,
        limits=HitRateLimits(warn_hit_rate, critical),
        types=tuple(types or ()),
        since_last=since_last,
        state=None if state is None else AtomicFile("--state", state),
        textfile=None if textfile is None else AtomicFile("--textfile", textfile),
        server=server,
        memory=memory,
        exact=exact,
        history=history,
    )
    run(replace(invocation, json=options.format is Format.JSON), options)
