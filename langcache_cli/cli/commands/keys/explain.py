"""The command ``langcache keys explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from langcache_cli.cli.commands.keys.words import described, view_fields
from langcache_cli.cli.completion.values import functions
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output, visible
from langcache_cli.cli.running import execute
from langcache_cli.cli.streams import stdout_as_stderr

if TYPE_CHECKING:
    from langcache_cli.operations.keys.explain import Explanation

_REASONS = {
    "fresh": "A call now is a hit.",
    "stale": "A call now is a hit with the old value, or loads the next one.",
    "leased": "A call now is a hit; a load of the next value is under way.",
    "loading": "A call now waits for the load that is under way.",
    "absent": "A call now is a miss: nothing is stored under its key.",
    "ended": "A call now is a miss: the entry has ended.",
    "invalidated": "A call now is a miss: a tag of the entry has changed: it was invalidated, or evicted.",
    "schema": "A call now is a miss: another version of its return type wrote the entry.",
    "failed": "A call now is a miss: a load has just failed, and left no value.",
    "foreign": "A call now is a miss: something else than langcache wrote this key.",
}


def explain(
    ctx: typer.Context,
    function: Annotated[
        str,
        typer.Argument(
            help="MODULE:FUNCTION, or MODULE:CLASS.METHOD; with --app also its plain name.",
            metavar="FUNCTION",
            autocompletion=functions,
        ),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            help="Those that are part of the key, in their order or as NAME=VALUE: JSON, or plain text.",
            metavar="ARGS",
        ),
    ] = None,
    app: Annotated[
        str | None,
        typer.Option(help="Import the application first.", metavar="MODULE[:ATTRIBUTE]"),
    ] = None,
) -> None:
    """Say which key a call has, and what is there.

    It also says the tags and the TTL. The module is imported, from the working folder too; the function does
    not run. Database sessions are left out. Write -- before arguments that begin with a dash.

    Examples:
        langcache keys explain langcache_cli.vocabulary:get_vocabulary_word 7
        langcache keys explain app.services:get_stats user_id=42
        langcache keys explain --app app.main get_word 7
    """
    execute(_explain(ctx.obj, function, arguments or [], app))


async def _explain(invocation: Invocation, name: str, texts: list[str], app: str | None) -> None:
    from langcache_cli.operations.keys.arguments import ArgumentsError  # noqa: PLC0415 - see the package
    from langcache_cli.operations.keys.explain import explain_call  # noqa: PLC0415 - as above
    from langcache_cli.operations.keys.function_names import (  # noqa: PLC0415 - as above
        UnknownFunctionError,
        cached_function,
    )
    from langcache_cli.operations.opening import open_cache  # noqa: PLC0415 - as above

    settings, output = invocation.settings(), Output(invocation)
    output.target(invocation.target(settings))
    async with open_cache(settings) as cache:
        try:
            with stdout_as_stderr():
                function = cached_function(name, app=app)
            found = await explain_call(cache, function, texts)
        except UnknownFunctionError as error:
            raise CommandError(ExitCode.USAGE, str(error), error.hint) from None
        except ArgumentsError as error:
            parameters = ", ".join(function.spec.keys.in_key) or "none"
            hint = f"The arguments in its key are: {parameters}."
            raise CommandError(ExitCode.USAGE, visible(str(error)), hint) from None
    if invocation.json:
        output.document("keys.explain", {"target": invocation.target(settings), **_document(found)})
    else:
        _print(output, found)


def _document(found: Explanation) -> dict[str, Any]:
    return {
        "function": found.function,
        "key": found.key,
        "type": found.type,
        "tags": list(found.tags),
        "ttl_seconds": found.ttl_seconds,
        "ttl_jitter_ratio": found.jitter_ratio,
        "stale_seconds": found.stale_seconds,
        "local_seconds": found.local_seconds,
        "schema_of_value": found.schema,
        "outcome": found.outcome,
        "reason": found.reason,
        "entry": None if found.view is None else view_fields(found.view),
    }


def _print(output: Output, found: Explanation) -> None:
    from langcache_cli.cli.watch.words import duration  # noqa: PLC0415 - see the package

    output.line(visible(found.key))
    output.line(f"  {'function':12}{found.function}")
    output.line(f"  {'type':12}{found.type}")
    shorter = f", each up to {100 * found.jitter_ratio:g} % shorter" if found.jitter_ratio else ""
    stale = f"; then stale for {duration(found.stale_seconds)}" if found.stale_seconds else ""
    output.line(f"  {'TTL':12}{duration(found.ttl_seconds)}{shorter}{stale}")
    if found.local_seconds:
        output.line(f"  {'in memory':12}of each process for up to {duration(found.local_seconds)}")
    output.line(f"  {'tags':12}{', '.join(map(visible, found.tags)) or 'none'}")
    output.line(_REASONS[found.reason])
    if found.reason == "schema" and found.view is not None:
        output.line(f"  {'schema':12}{found.schema} now, {found.view.entry['schema']} in the entry")
    if found.view is not None:
        output.line("")
        above = ("key", "type", *(["state"] if found.view.state == found.reason else []))
        for line in described(found.view, without=above):
            output.line(line)
        output.line(f"To see its value: langcache keys get {_quoted(found.key)}")


def _quoted(key: str) -> str:
    import shlex  # noqa: PLC0415 - as above

    return shlex.quote(visible(key))
