"""Options of ``langcache bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from langcache_cli.cli.completion.values import bench_paths

Paths = Annotated[
    list[str],
    typer.Option(
        help="Only this path; with --app noop, ping or PREFIX:FUNCTION. Repeatable.",
        metavar="noop|ping|get|hit|miss|database",
        autocompletion=bench_paths,
    ),
]
Duration = Annotated[
    float, typer.Option(help="How long to measure each path in each turn.", metavar="SECONDS", min=0.01)
]
Repeats = Annotated[
    int,
    typer.Option(
        help="Turns of each path, interleaved. A comparison needs 5; of more than 6 paths 6, of more than 23 "
        "paths 7.",
        metavar="N",
        min=1,
    ),
]
Concurrency = Annotated[
    int, typer.Option(help="Workers at a time, each waiting for its last run to end.", metavar="N", min=1)
]
MinSpeedup = Annotated[
    float | None,
    typer.Option(help="Exit with 1 if hits are fewer times faster than misses.", metavar="TIMES"),
]
MaxP95 = Annotated[
    float | None, typer.Option(help="Exit with 1 if the p95 of a hit is higher.", metavar="MS")
]
OpenLoopRate = Annotated[
    float | None,
    typer.Option(
        help="Begin so many runs a second instead, whether or not earlier ones have ended; each is timed "
        "from when it should have begun.",
        metavar="N",
        min=0.1,
        max=1_000_000,
    ),
]
Application = Annotated[
    str | None,
    typer.Option(
        "--app",
        help="Measure the cached functions of this application that have a warmer, on the arguments that it "
        "yields. ATTRIBUTE is an async context manager that opens what they need.",
        metavar="MODULE[:ATTRIBUTE]",
    ),
]
Baseline = Annotated[
    Path | None,
    typer.Option(help="Compare with an earlier run: a file of --out, --json or --report.", metavar="FILE"),
]
Out = Annotated[
    Path | None, typer.Option(help="Write the JSON document into this file, replacing it.", metavar="FILE")
]
Report = Annotated[
    Path | None,
    typer.Option(help="Write the result with charts into this HTML file, replacing it.", metavar="FILE"),
]
FailOn = Annotated[
    list[str],
    typer.Option(
        help="Exit with 1 beyond this limit. Repeatable. METRIC or PATH:METRIC, > or <, then +N% or -N% of "
        "the baseline, or Nms; such as 'hit:p50>+25%' or 'hit:p95>5ms'. A limit in % is exceeded if the "
        "whole interval of the change lies beyond it; it takes p50, p95, p99, max or rate (runs a second), "
        "and without PATH is about all paths but noop, ping and database. A limit in ms takes p50, p90, "
        "p95, p99, p99.9, mean or max, and without PATH is about all paths but noop.",
        metavar="LIMIT",
    ),
]
