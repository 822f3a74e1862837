"""The command ``langcache types``."""

from __future__ import annotations

import typer

from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output


def types(ctx: typer.Context) -> None:
    """List the cache types and their TTLs.

    Needs no Redis: the types are those of the settings.

    Examples:
        langcache types
        langcache types --json
    """
    invocation: Invocation = ctx.obj
    settings, output = invocation.settings(), Output(invocation)
    if invocation.json:
        found = {
            item.name: {
                "prefixes": item.prefixes,
                "ttl_seconds": item.ttl_seconds,
                "cleared_when": item.cleared_when,
            }
            for item in settings.types.values()
        }
        output.document("types", {"types": found})
        return
    rows = [
        (item.name, ", ".join(item.prefixes), item.cleared_when, f"{item.ttl_seconds:,} s")
        for item in settings.types.values()
    ]
    columns = ("Type", "Prefixes", "The application clears it when", "TTL")
    output.table("", columns, rows, text_columns=3, drops=("The application clears it when", "TTL"))
