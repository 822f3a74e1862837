"""The command ``langcache keys list``."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Annotated

import typer

from langcache_cli.cli.completion.values import cache_types
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output, visible
from langcache_cli.cli.running import execute
from langcache_cli.readable import size

if TYPE_CHECKING:
    from langcache_cli.caching import CacheSettings
    from langcache_cli.operations.overview.keys import KeyPage, KeyRow

MARKED = 1_000
"""Of a longer listing so many are looked at, to mark entries of which a tag was invalidated."""

INVALIDATED = "invalidated"

BETWEEN = 3
"""Columns of the terminal between two columns of a table."""


def list_(
    ctx: typer.Context,
    type_: Annotated[
        str,
        typer.Option(
            "--type",
            help="Only keys of this cache type, or prefix.",
            metavar="TYPE",
            autocompletion=cache_types,
        ),
    ] = "",
    find: Annotated[
        str, typer.Option(help="Only keys that contain this text; no character is special.", metavar="TEXT")
    ] = "",
    limit: Annotated[int, typer.Option(help="Most keys to list.", metavar="N", min=1, max=100_000)] = 50,
    cursor: Annotated[
        str, typer.Option(help="Go on where the listing before ended, as it said.", metavar="CURSOR")
    ] = "",
) -> None:
    """List keys of the namespace, with type, TTL and size.

    In a pipe: one key a line, and its type, seconds left (- for no TTL) and bytes after tabs, and the word
    "invalidated" if a tag of the entry was: it is in Redis, and a call is a miss. A listing ends
    after --limit keys or 5 seconds, and says how to go on. Keys that a terminal cannot show are
    percent-encoded; the other commands accept this form.

    Examples:
        langcache keys list --type vocabulary
        langcache keys list --find Haus --limit 1000
        langcache keys list --find user:42
    """
    execute(_list(ctx.obj, type_, find, limit, cursor))


async def _list(invocation: Invocation, type_name: str, text: str, limit: int, cursor: str) -> None:
    from langcache_cli.caching import PatternError  # noqa: PLC0415 - see the package
    from langcache_cli.operations.keys.listing import list_keys  # noqa: PLC0415 - as above
    from langcache_cli.operations.keys.tags import invalidated  # noqa: PLC0415 - as above
    from langcache_cli.operations.opening import open_cache, require_answer  # noqa: PLC0415 - as above
    from langcache_cli.operations.overview.key_text import key_at  # noqa: PLC0415 - as above

    settings, output = invocation.settings(), Output(invocation)
    output.target(invocation.target(settings))
    async with open_cache(settings) as cache:
        await require_answer(cache)
        try:
            page = await list_keys(cache, text=text, type_name=type_name, limit=limit, cursor=cursor)
        except PatternError as error:
            hint = "Take the cursor as the listing before printed it." if cursor else ""
            raise CommandError(ExitCode.USAGE, str(error), hint) from None
        keys = {row["address"]: key_at(row["address"]) for row in page["keys"][:MARKED]}
        found = await invalidated(cache, [*keys.values()])
        gone = {address for address, key in keys.items() if key in found}
    if invocation.json:
        output.document("keys.list", _document(invocation, settings, page, gone))
    else:
        _print(output, page, gone)
        if not page["keys"]:
            output.note(_no_match(settings.namespace, type_name, text, may_be_more=bool(page["cursor"])))
        if page["cursor"]:
            output.note(f"There are more keys; go on with --cursor {page['cursor']}")


def _document(
    invocation: Invocation, settings: CacheSettings, page: KeyPage, gone: AbstractSet[str]
) -> dict[str, object]:
    return {
        "target": invocation.target(settings),
        "keys": [
            {
                "key": _typeable(row),
                "address": row["address"],
                "type": row["type"],
                "ttl_seconds": _seconds(row),
                "bytes": row["bytes"],
                "invalidated": row["address"] in gone,
            }
            for row in page["keys"]
        ],
        "cursor": page["cursor"] or None,
        "searched": page["searched"],
    }


def _print(output: Output, page: KeyPage, gone: AbstractSet[str]) -> None:
    from langcache_cli.cli.watch.words import duration  # noqa: PLC0415 - as above

    if not output.draws:
        for row in page["keys"]:
            seconds, n_bytes = _seconds(row), row["bytes"]
            fields = ["-" if seconds is None else f"{seconds:.0f}", "-" if n_bytes is None else str(n_bytes)]
            mark = [INVALIDATED] if row["address"] in gone else []
            output.line("\t".join([_typeable(row), row["type"], *fields, *mark]))
        return
    if not page["keys"]:
        return
    rows = [
        (
            _typeable(row),
            row["type"],
            "no TTL" if (seconds := _seconds(row)) is None else duration(seconds),
            "-" if row["bytes"] is None else size(row["bytes"]),
            *([INVALIDATED if row["address"] in gone else ""] if gone else []),
        )
        for row in page["keys"]
    ]
    columns = ("Key", "Type", "TTL", "Size", *(["State"] if gone else []))
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    if sum(widths) + BETWEEN * len(widths) <= output.width:
        output.table("", columns, rows, text_columns=2)
        return
    for key, *fields in rows:  # whole keys, to be copied
        output.line(f"{key}\n    {', '.join(filter(None, fields))}")


def _no_match(namespace: str, type_name: str, text: str, *, may_be_more: bool) -> str:
    """What was looked for in vain."""
    of_type = f" of the type {type_name}" if type_name else ""
    found = "was found so far" if may_be_more else "is there"
    if not text:
        return f"No key{of_type} {found} in the namespace {namespace}."
    contains = f"{'was found so far that ' if may_be_more else ''}contains {visible(text)!r}"
    return f"No key{of_type} in the namespace {namespace} {contains}; the search is case-sensitive."


def _typeable(row: KeyRow) -> str:
    from langcache_cli.operations.keys.names import typeable  # noqa: PLC0415 - as above
    from langcache_cli.operations.overview.key_text import key_at  # noqa: PLC0415 - as above

    return typeable(key_at(row["address"]))


def _seconds(row: KeyRow) -> float | None:
    return row["ttl_ms"] / 1000 if row["ttl_ms"] >= 0 else None
