"""The command ``langcache watch``."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from langcache_cli.cli.completion.values import watch_windows
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output, visible
from langcache_cli.cli.running import execute
from langcache_cli.readable import size

if TYPE_CHECKING:
    from langcache_cli.caching import Cache
    from langcache_cli.operations.overview.document import Overview

LINE_EVERY_SECONDS = 60.0


def watch(
    ctx: typer.Context,
    window: Annotated[
        str, typer.Option(help="How far back to look.", metavar="1h|6h|24h|7d", autocompletion=watch_windows)
    ] = "1h",
    interval: Annotated[
        float,
        typer.Option(help="Refresh this often.", metavar="SECONDS", min=0.5, max=3600),
    ] = 2.0,
) -> None:
    """Show hit rates, calls, latencies and memory, live.

    On a terminal the screen refreshes itself: w changes the window, f shows functions, k the keys asked for
    most, space pauses, ? helps, q quits. Without a terminal it prints one line a minute. It changes nothing,
    and its own reads are not counted.

    Examples:
        langcache watch
        langcache watch --window 24h
        langcache watch >> cache.log
    """
    invocation: Invocation = ctx.obj
    if invocation.json:
        raise CommandError(ExitCode.USAGE, "watch has no JSON: use langcache stats --json --history")
    execute(_watch(invocation, window=window, interval=interval))


async def _watch(invocation: Invocation, *, window: str, interval: float) -> None:
    from langcache_cli.operations.opening import open_cache  # noqa: PLC0415 - see the package
    from langcache_cli.operations.overview.collecting import WINDOWS  # noqa: PLC0415 - see the package

    if window not in WINDOWS:
        raise CommandError(ExitCode.USAGE, f"--window {window!r}: give one of {', '.join(WINDOWS)}")
    settings, output = invocation.settings(), Output(invocation)
    async with open_cache(settings) as cache:
        if sys.stdin.isatty() and output.draws:
            await _on_screen(cache, output, window=window, interval=interval)
        else:
            output.target(invocation.target(settings))
            await _by_line(cache, output, window)


async def _on_screen(cache: Cache, output: Output, *, window: str, interval: float) -> None:
    from langcache_cli.cli.watch.screen import Watch  # noqa: PLC0415 - see the package
    from langcache_cli.cli.watch.words import verdict  # noqa: PLC0415 - see the package
    from langcache_cli.operations.overview.collecting import CacheOverview  # noqa: PLC0415 - see the package

    view = Watch(
        CacheOverview(cache), output.console(), window=window, interval=interval, unicode=output.unicode
    )
    try:
        await view.run()
    finally:
        if view.known is not None:
            output.line(verdict(view.known))


async def _by_line(cache: Cache, output: Output, window: str) -> None:
    from langcache_cli.operations.overview.collecting import CacheOverview  # noqa: PLC0415 - see the package

    source = CacheOverview(cache)
    while not output.closed:
        overview = await source.collect(window)
        at = time.strftime("%H:%M", time.localtime(overview["now"]))
        output.line(f"{at} {_line(overview)}")
        await asyncio.sleep(LINE_EVERY_SECONDS)


def _line(overview: Overview) -> str:
    from langcache_cli.cli.watch.words import latency, verdict  # noqa: PLC0415 - see the package

    if "total" not in overview:
        return visible(overview["error"])
    total, server = overview["total"], overview["server"]
    parts = [
        verdict(overview),
        f"p95 {latency(total['hit_p95_ms'])} a hit, {latency(total['load_p95_ms'])} a load",
        f"memory {size(server['used_memory_bytes'])}",
    ]
    return "; ".join(part.rstrip(".") for part in parts)
