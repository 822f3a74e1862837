"""The command ``langcache config show``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from langcache_cli.cli.commands.config.sources import kinds_of_settings, sources_of
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output, visible

if TYPE_CHECKING:
    from langcache_cli.operations.configuration import Origin, Setting

BETWEEN = 3
"""Columns of the terminal between two columns of a table."""


def show(
    ctx: typer.Context,
    origin: Annotated[bool, typer.Option("--origin", help="Also say where each value comes from.")] = False,
) -> None:
    """Print every setting that is in effect.

    The command line wins over the environment, that over the settings file, and that over the default.
    Passwords are not shown. In a pipe, and where a table does not fit: NAME=value, and with --origin its
    origin after a tab.

    Examples:
        langcache config show --origin
        langcache config show --env-file prod.env --origin
    """
    from langcache_cli.operations.configuration import settings_in_effect  # noqa: PLC0415 - see the package

    invocation: Invocation = ctx.obj
    output = Output(invocation)
    invocation.warn_of_misspelt_settings()
    settings = settings_in_effect(kinds_of_settings(), sources_of(invocation))
    if invocation.json:
        output.document("config.show", {"settings": [_fields(one) for one in settings]})
        return
    columns = ("Setting", "Value", "From") if origin else ("Setting", "Value")
    rows = [(one.name, visible(one.value) or "not set", _place(one))[: len(columns)] for one in settings]
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    if output.draws and sum(widths) + BETWEEN * len(widths) <= output.width:
        output.table("", columns, rows, text_columns=len(columns))
    else:  # in a pipe, or where a table would break names
        for one in settings:
            output.line(f"{one.name}={visible(one.value)}" + (f"\t{_place(one)}" if origin else ""))


def _place(one: Setting) -> str:
    """Where a value comes from, and under which name if it is another one; what it overrules."""
    name, others = one.origin.name, [_short(other) for other in one.overruled]
    other = f" ({name})" if one.origin.kind in {"environment", "file"} and name.upper() != one.name else ""
    verb = "is" if len(others) == 1 else "are"
    overruled = f" ({' and '.join(others)} {verb} overruled)" if others else ""
    return visible(f"{one.origin}{other}{overruled}")


def _short(place: Origin) -> str:
    return f"{place.file} line {place.line}" if place.kind == "file" else str(place)


def _fields(one: Setting) -> dict[str, object]:
    return {
        "name": one.name,
        "value": one.value,
        "origin": asdict(one.origin),
        "overruled": [asdict(place) for place in one.overruled],
    }
