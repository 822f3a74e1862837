"""The command ``langcache stats``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output, milliseconds, percent
from langcache_cli.cli.running import execute

if TYPE_CHECKING:
    from langcache_cli.caching.tooling import Numbers, ServerReport
    from langcache_cli.operations.overview.census import KeyCounts
    from langcache_cli.operations.stats import StatsReport

UNITS = {"m": 60, "h": 3600, "d": 86400}
LONGEST_SECONDS = 7 * 86400
HUNDRED = 100


def stats(
    ctx: typer.Context,
    window: Annotated[
        str, typer.Option(help="How far back: minutes, hours or days, at most 7d.", metavar="5m|1h|24h|7d")
    ] = "1h",
    min_hit_rate: Annotated[
        float | None,
        typer.Option(help="Exit with 1 if the hit rate is lower.", metavar="PERCENT", min=0, max=HUNDRED),
    ] = None,
    memory: Annotated[bool, typer.Option("--memory", help="Show the memory of each type.")] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="Look at every key; otherwise at 5,000 where there are more.")
    ] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Show the course of the window: 1h, 6h, 24h or 7d.")
    ] = False,
) -> None:
    """Show hit rates and latencies.

    For each cache type, and what the server reports. The numbers are those of all processes of the
    application; reads by this command are not counted.

    Examples:
        langcache stats
        langcache stats --window 24h --history
        langcache stats --window 5m --min-hit-rate 80
    """
    if history:
        execute(_history(ctx.obj, window=window, min_hit_rate=min_hit_rate))
    else:
        execute(_stats(ctx.obj, window=window, min_hit_rate=min_hit_rate, memory=memory, exact=exact))


async def _stats(
    invocation: Invocation, *, window: str, min_hit_rate: float | None, memory: bool, exact: bool
) -> None:
    from langcache_cli.operations.opening import open_cache  # noqa: PLC0415 - see the package
    from langcache_cli.operations.stats import stats as collect  # noqa: PLC0415 - see the package

    seconds = window_seconds(window)
    settings, output = invocation.settings(), Output(invocation)
    target = invocation.target(settings)
    output.target(target)
    async with open_cache(settings) as cache:
        report = await collect(cache, window_seconds=seconds, exact=exact, sizes=memory)
    if invocation.json:
        output.document("stats", {"target": target, **_document(report, memory=memory)})
    else:
        _print(output, report, window, memory=memory)
    if min_hit_rate is not None:
        _judge(report.total.hit_rate, min_hit_rate, window)


async def _history(invocation: Invocation, *, window: str, min_hit_rate: float | None) -> None:
    from langcache_cli.cli.watch.frame import history_lines  # noqa: PLC0415 - see the package
    from langcache_cli.operations.opening import open_cache  # noqa: PLC0415 - see the package
    from langcache_cli.operations.overview.collecting import WINDOWS, CacheOverview  # noqa: PLC0415 - see the package

    if window not in WINDOWS:
        raise CommandError(ExitCode.USAGE, f"--window {window!r}: with --history one of {', '.join(WINDOWS)}")
    settings, output = invocation.settings(), Output(invocation)
    output.target(invocation.target(settings))
    async with open_cache(settings) as cache:
        overview = await CacheOverview(cache).collect(window)
        if "total" not in overview:
            await cache.report()  # raises what is wrong
    if invocation.json:
        output.overview(overview)
    else:
        for line in history_lines(overview, width=output.width, unicode=output.unicode):
            output.line(line)
    if min_hit_rate is not None:
        _judge(overview["total"]["hit_ratio"], min_hit_rate, window)


def window_seconds(window: str) -> int:
    """The seconds of a window such as ``5m``.

    Raises:
        CommandError: The text is not a window, or the window is longer than a week.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", window, re.ASCII)
    seconds = int(match[1]) * UNITS[match[2]] if match else 0
    if not 0 < seconds <= LONGEST_SECONDS:
        raise CommandError(
            ExitCode.USAGE, f"--window {window!r}: give minutes, hours or days up to 7d, such as 5m or 24h"
        )
    return seconds


def _judge(hit_rate: float | None, min_hit_rate: float, window: str) -> None:
    message = ""
    if hit_rate is None:
        message = f"no call was counted in the last {window}: the hit rate is unknown"
    elif HUNDRED * hit_rate < min_hit_rate:
        message = f"the hit rate is {percent(hit_rate)}, lower than {min_hit_rate:g} %"
    if message:
        raise CommandError(ExitCode.CHECK_FAILED, message, reported=True)


def _print(output: Output, report: StatsReport, window: str, *, memory: bool) -> None:
    about = "" if report.exact else "≈ " if output.unicode else "~ "
    lines = [
        *((line.name, line.keys, line.numbers) for line in report.types),
        ("all", report.keys, report.total),
    ]
    rows = [
        (name, f"{about}{keys['keys']:,}", *([_memory(keys)] if memory else []), *_cells(numbers))
        for name, keys, numbers in lines
    ]
    columns = ["Type", "Keys", "Hits", "Misses", "Hit rate", "Hit p95", "Load p95"]
    if memory:
        columns.insert(2, "Memory")
    output.table(f"The last {window}", columns, rows)
    if report.problem and memory:
        output.line(f"Not all is known: {report.problem}")
    if report.total["deferred"]:
        output.line(
            f"{report.total['deferred']:,} invalidations waited for Redis, "
            f"{report.total['delivered']:,} of them were delivered."
        )
    server = report.server
    output.line("")
    output.table("", ("Server", ""), _server_rows(server), text_columns=2)


def _memory(keys: KeyCounts) -> str:
    from langcache_cli.caching.tooling import readable_bytes  # noqa: PLC0415 - see the package

    error = f" ± {readable_bytes(keys['bytes_error'])}" if keys["bytes_error"] else ""
    return f"{readable_bytes(keys['bytes'])}{error}"


def _cells(numbers: Numbers) -> tuple[str, ...]:
    return (
        f"{numbers['hits']:,}",
        f"{numbers['misses']:,}",
        percent(numbers.hit_rate),
        milliseconds(numbers.percentile_ms("hit", 95)),
        milliseconds(numbers.percentile_ms("load", 95)),
    )


def _server_rows(server: ServerReport) -> list[tuple[str, str]]:
    from langcache_cli.caching.tooling import readable_bytes  # noqa: PLC0415 - see the package

    limit = readable_bytes(server.max_memory_bytes) if server.max_memory_bytes else "no limit"
    asked = server.keyspace_hits + server.keyspace_misses
    return [
        ("version", f"{server.product} {server.version}"),
        ("uptime", f"{server.uptime_seconds / 86400:.1f} days"),
        ("memory", f"{readable_bytes(server.used_memory_bytes)} of {limit}, {server.eviction_policy}"),
        ("evicted keys", f"{server.evicted_keys:,}"),
        ("connections", f"{server.connected_clients:,}"),
        ("keys in this database", f"{server.database_keys:,}"),
        (
            "look-ups of all clients",
            f"{asked:,}, {percent(server.keyspace_hits / asked if asked else None)} found",
        ),
    ]


def _document(report: StatsReport, *, memory: bool) -> dict[str, Any]:
    server = report.server

    def of_keys(counts: KeyCounts) -> dict[str, Any]:
        return {name: count for name, count in counts.items() if memory or not name.startswith("bytes")}

    return {
        "window_seconds": report.window_seconds,
        "keys_exact": report.exact,
        "total": {**of_keys(report.keys), **_numbers(report.total)},
        "outbox": report.total.exported(per_function=False),
        "types": {
            line.name: {**of_keys(line.keys), "ttl_seconds": line.ttl_seconds, **_numbers(line.numbers)}
            for line in report.types
        },
        "server": {name: getattr(server, name) for name in type(server).__slots__},
    }


def _numbers(numbers: Numbers) -> dict[str, Any]:
    return {
        **numbers.exported(),
        "hit_ratio": numbers.hit_rate,
        "hit_p50_ms": numbers.percentile_ms("hit", 50),
        "hit_p95_ms": numbers.percentile_ms("hit", 95),
        "load_p50_ms": numbers.percentile_ms("load", 50),
        "load_p95_ms": numbers.percentile_ms("load", 95),
    }
