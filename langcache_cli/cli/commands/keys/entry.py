"""The commands ``langcache keys get`` and ``langcache keys ttl``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from langcache_cli.cli.commands.keys.words import (
    described,
    lease_words,
    no_such_key,
    state_words,
    ttl_words,
    view_fields,
)
from langcache_cli.cli.completion.values import key_prefixes
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output, visible
from langcache_cli.cli.running import execute

if TYPE_CHECKING:
    from langcache_cli.caching import Cache
    from langcache_cli.operations.keys.inspection import KeyView

SHOWN = 5_000
"""Characters of a value that are shown without ``--raw``."""

Key = Annotated[
    str,
    typer.Argument(
        help="A full key, as 'keys list' and 'keys explain' show it; percent-encoded, too.",
        metavar="KEY",
        autocompletion=key_prefixes,
    ),
]


def get(
    ctx: typer.Context,
    key: Key,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the whole value as it is stored, uncompressed, and no more.")
    ] = False,
) -> None:
    """Show one entry: header, tags and value.

    Without --raw the value is indented and cut after 5,000 characters. Exits with 1 if there is no such key.

    Examples:
        langcache keys get cache:vocabulary:get_vocabulary_word:7
        langcache keys get 'cache:translation:translate_text:Hello world:en:de' --raw
    """
    execute(_get(ctx.obj, key, raw=raw))


def ttl(ctx: typer.Context, key: Key) -> None:
    """Say how long a key lives on.

    It also says what the time means: fresh, stale, or the lease of a load. Exits with 1 if there is no such
    key.

    Examples:
        langcache keys ttl cache:vocabulary:get_vocabulary_word:7
        langcache keys ttl cache:vocabulary:get_vocabulary_word:7 --json
    """
    execute(_ttl(ctx.obj, key))


async def _get(invocation: Invocation, text: str, *, raw: bool) -> None:
    from langcache_cli.operations.keys.inspection import readable_value  # noqa: PLC0415 - see the package
    from langcache_cli.operations.opening import open_cache  # noqa: PLC0415 - as above

    settings, output = invocation.settings(), Output(invocation)
    output.target(invocation.target(settings))
    async with open_cache(settings) as cache:
        view = await _require_key(cache, text, with_tags=not raw)
        if raw:
            value, complete = await _whole(cache, view), True
        elif invocation.json:
            value, complete = view.entry["value"], not view.entry["truncated"]
        else:
            value, complete = await readable_value(cache, view)
    if invocation.json:
        shown = {"value": value, "truncated": not complete}
        output.document("keys.get", {"target": invocation.target(settings), **view_fields(view), **shown})
        return
    if raw:
        output.line(_on_terminal(value) if output.draws else value)
        return
    for line in described(view):
        output.line(line)
    _print_value(output, view, value, complete=complete)


async def _ttl(invocation: Invocation, text: str) -> None:
    from langcache_cli.operations.opening import open_cache  # noqa: PLC0415 - as above

    settings, output = invocation.settings(), Output(invocation)
    output.target(invocation.target(settings))
    async with open_cache(settings) as cache:
        view = await _require_key(cache, text)
    if invocation.json:
        output.document("keys.ttl", {"target": invocation.target(settings), **_ttl_fields(view)})
        return
    output.line(ttl_words(view))
    output.line(state_words(view))
    if lease := lease_words(view):
        output.line(lease)


def _ttl_fields(view: KeyView) -> dict[str, Any]:
    found = view_fields(view)
    names = ("key", "address", "type", "kind", "state", "ttl_seconds", "fresh_seconds", "lease_seconds")
    return {name: found[name] for name in names}


async def _require_key(cache: Cache, text: str, *, with_tags: bool = True) -> KeyView:
    """What is under a key.

    Raises:
        CommandError: Nothing.
    """
    from langcache_cli.operations.keys.inspection import look_at  # noqa: PLC0415 - see the package
    from langcache_cli.operations.keys.names import keys_meant  # noqa: PLC0415 - as above

    view = await look_at(cache, keys_meant(text, cache.settings.namespace), with_tags=with_tags)
    if view is None:
        raise no_such_key(text)
    return view


async def _whole(cache: Cache, view: KeyView) -> str:
    from langcache_cli.caching.tooling import UndecodableEntryError  # noqa: PLC0415 - as above
    from langcache_cli.operations.keys.inspection import ValueTooLongError, whole_value  # noqa: PLC0415 - as above

    try:
        return await whole_value(cache, view.key) or ""
    except ValueTooLongError:
        limit = cache.settings.max_decompressed_bytes
        message = f"the value is longer than {limit:,} bytes, which is the most that langcache reads"
        raise CommandError(
            ExitCode.PARTIAL, message, "Set LANGCACHE_MAX_DECOMPRESSED_BYTES to more."
        ) from None
    except UndecodableEntryError as error:
        message = f"the value cannot be decoded: {error}"
        raise CommandError(ExitCode.CHECK_FAILED, message, f"Type 'redis-cli get {view.key!r}'.") from None


def _print_value(output: Output, view: KeyView, value: str, *, complete: bool) -> None:
    if view.entry["problem"]:
        output.line(f"The value cannot be shown: {view.entry['problem']}")
    if not value:
        return
    output.line("")
    output.line(_on_terminal(value[:SHOWN]))
    if len(value) > SHOWN or not complete:
        output.line("... cut here; --raw prints all of it")


def _on_terminal(value: str) -> str:
    """Text in lines, without what a terminal would obey."""
    return "\n".join(visible(line).replace("\\t", "\t") for line in value.split("\n"))
