"""The command ``langcache bench compare``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langcache_cli.cli.commands.bench.judging import judge_limits, limits_of, verdict_of_limits
from langcache_cli.cli.commands.bench.options import FailOn
from langcache_cli.cli.commands.bench.text import print_comparison, print_limits, three_digits
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output

if TYPE_CHECKING:
    from langcache_cli.operations.bench.comparison import Comparison


def compare(
    ctx: typer.Context,
    before: Annotated[
        Path, typer.Argument(help="The earlier run: a file of --out, --json or --report.", metavar="BEFORE")
    ],
    after: Annotated[Path, typer.Argument(help="The later run, the same.", metavar="AFTER")],
    fail_on: FailOn = [],  # noqa: B006 - typer's way to say 'none given'
) -> None:
    """Compare two runs of 'langcache bench', path by path.

    Says of each path whether its median is the same, faster or slower: the ratio after/before (more than 1
    is slower) with its interval. All intervals together are right in 95 of 100 comparisons. Both runs need
    five turns or more. Needs neither Redis nor a database. 'langcache bench --help' explains the paths.

    Examples:
        langcache bench compare before.json after.json
        langcache bench compare before.json after.json --fail-on 'hit:p50>+25%'
    """
    from langcache_cli.operations.bench.baseline import OtherLoadError, require_load  # noqa: PLC0415 - see the package
    from langcache_cli.operations.bench.comparison import compare as compared  # noqa: PLC0415 - as above

    invocation: Invocation = ctx.obj
    output = Output(invocation)
    limits = limits_of(fail_on, has_baseline=True)
    then, now = read_result("BEFORE", before), read_result("AFTER", after)
    try:
        require_load(then, rate=now.get("rate_per_second"), concurrency=now.get("concurrency", 1))
    except OtherLoadError as error:
        raise CommandError(ExitCode.USAGE, f"{before}: {error}") from None
    names = (f"BEFORE ({before.name})", f"AFTER ({after.name})")
    comparison = compared(now, then, names)
    if not comparison.paths:
        raise CommandError(ExitCode.USAGE, f"{before} and {after} have no path in common")
    verdict = verdict_of_limits(limits, now, then, names)
    if invocation.json:
        fields = {"before": _run(before, then), "after": _run(after, now), **_document(comparison, then, now)}
        output.document("bench.compare", {**fields, **asdict(verdict)})
    else:
        _print_latencies(output, comparison, then, now)
        print_comparison(output, comparison)
        print_limits(output, verdict)
    judge_limits(verdict)


def _print_latencies(
    output: Output, comparison: Comparison, then: Mapping[str, Any], now: Mapping[str, Any]
) -> None:
    """The median and the p99 of each path, before and after."""
    rows = [
        (
            name,
            *(
                three_digits(run["paths"][name][field])
                for field in ("p50_ms", "p99_ms")
                for run in (then, now)
            ),
        )
        for name in comparison.paths
    ]
    output.table("Latencies in ms", ("Path (ms)", "p50 before", "after", "p99 before", "after"), rows)
    output.line("")


def read_result(name: str, path: Path) -> dict[str, Any]:
    """The document in a file.

    Args:
        name: The argument or option, for the message.
        path: The file.

    Raises:
        CommandError: The file cannot be read, or holds something else.
    """
    from langcache_cli.operations.bench.baseline import BaselineError, read_document  # noqa: PLC0415 - as above

    try:
        return read_document(path)
    except BaselineError as error:
        raise CommandError(ExitCode.BAD_CONFIGURATION, f"{name}: {error}") from None


def _run(path: Path, document: Mapping[str, Any]) -> dict[str, Any]:
    names = ("begun_at", "status", "command_line", "versions")
    return {"file": str(path), **{name: document.get(name) for name in names}}


def _document(comparison: Comparison, then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    from langcache_cli.operations.bench.limits import METRICS  # noqa: PLC0415 - as above

    def numbers(path: Mapping[str, Any]) -> dict[str, Any]:
        return {field: path.get(field) for field in METRICS.values()}

    paths = {
        name: {**asdict(change), "before": numbers(then["paths"][name]), "after": numbers(now["paths"][name])}
        for name, change in comparison.paths.items()
    }
    return {
        "paths": paths,
        "differences": list(comparison.differences),
        "warnings": list(comparison.warnings),
        "summary": comparison.summary,
    }
