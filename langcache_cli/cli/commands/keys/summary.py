"""The command ``langcache keys summary``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output
from langcache_cli.cli.running import execute
from langcache_cli.readable import size

if TYPE_CHECKING:
    from langcache_cli.operations.keys.summary import KeysSummary, TypeSummary

NARROW = 80
"""On fewer columns only the median of the TTLs is shown."""


def summary(
    ctx: typer.Context,
    exact: Annotated[
        bool, typer.Option("--exact", help="Look at every key, however many there are.")
    ] = False,
) -> None:
    """Count keys, bytes and TTLs by cache type.

    A database of fewer than 5,000 keys is counted. Of a larger one 3,000 random keys are looked at; the
    numbers are then estimates, each with half of its 95 % interval.

    Examples:
        langcache keys summary
        langcache keys summary --exact --json
    """
    execute(_summary(ctx.obj, exact=exact))


async def _summary(invocation: Invocation, *, exact: bool) -> None:
    from langcache_cli.operations.keys.summary import summarize_keys  # noqa: PLC0415 - see the package
    from langcache_cli.operations.opening import open_cache, require_answer  # noqa: PLC0415 - as above

    settings, output = invocation.settings(), Output(invocation)
    output.target(invocation.target(settings))
    async with open_cache(settings) as cache:
        await require_answer(cache)
        found = await summarize_keys(cache, exact=exact)
    if found.database_keys and not found.sampled and found.problem:
        raise CommandError(
            ExitCode.NO_PERMISSION,
            f"no key can be looked at: {found.problem}",
            "Type 'langcache keys summary --exact', which needs no RANDOMKEY, or grant the right.",
        )
    if invocation.json:
        output.document("keys.summary", {"target": invocation.target(settings), **_document(found)})
    else:
        _print(output, found)


def _document(found: KeysSummary) -> dict[str, Any]:
    return {
        "exact": found.exact,
        "sampled_keys": found.sampled,
        "database_keys": found.database_keys,
        "types": {one.name: _fields(one) for one in found.types},
        "all": _fields(found.all_types),
        "own": _fields(found.own),
        "other": _fields(found.other),
        "problem": found.problem,
    }


def _fields(one: TypeSummary) -> dict[str, Any]:
    least, median, most = one.ttl_seconds or (None, None, None)
    return {
        "keys": one.keys,
        "keys_error": one.keys_error,
        "bytes": one.bytes,
        "bytes_error": one.bytes_error,
        "ttl_least_seconds": least,
        "ttl_median_seconds": median,
        "ttl_most_seconds": most,
        "seen_without_ttl": one.endless,
    }


def _print(output: Output, found: KeysSummary) -> None:

    wide = not output.draws or output.width >= NARROW
    columns = ("Type", "Keys", "Size", *(("TTL least", "median", "most") if wide else ("TTL median",)))
    about, within = ("≈", "±") if output.unicode else ("~", "+-")
    rows = [_row(one, found, about, within, wide=wide) for one in (*found.types, found.all_types)]
    output.table("Keys of the namespace", columns, rows)
    if not found.exact:
        output.line(
            f"Estimated from {found.sampled:,} random keys of {found.database_keys:,}; --exact counts all."
        )
    roughly = "" if found.exact else "About "
    for one, whose in ((found.own, "tags and statistics of langcache"), (found.other, "other applications")):
        if one.keys:
            output.line(f"{roughly}{one.keys:,} more keys belong to {whose}: {size(one.bytes)}.")
    if found.all_types.endless:
        output.line(f"{found.all_types.endless:,} of the keys looked at have no TTL.")
    if found.problem:
        output.line(f"Not all sizes are known: {found.problem}")


def _row(one: TypeSummary, found: KeysSummary, about: str, within: str, *, wide: bool) -> tuple[str, ...]:
    from langcache_cli.cli.watch.words import duration  # noqa: PLC0415 - see the package

    if found.exact:
        amounts = f"{one.keys:,}", size(one.bytes)
    elif one.keys:
        amounts = (
            f"{about}{one.keys:,} {within}{one.keys_error:,}",
            f"{about}{size(one.bytes)} {within}{size(one.bytes_error)}",
        )
    else:  # not among those looked at: an upper bound is all that is known
        amounts = f"<{one.keys_error:,}" if one.keys_error else "0", "-"
    ttls = ("-", "-", "-") if one.ttl_seconds is None else tuple(map(duration, one.ttl_seconds))
    return (one.name, *amounts, *(ttls if wide else ttls[1:2]))
