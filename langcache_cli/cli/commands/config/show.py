"""The command ``langcache config show``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from langcache_cli.cli.commands.config.sources import kinds_of_settings, sources_of
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output, visible

if TYPE_CHECKING:
    from langcache_cli.operations.configuration import Setting


def show(
    ctx: typer.Context,
    origin: Annotated[bool, typer.Option("--origin", help="Also say where each value comes from.")] = False,
) -> None:
    """Print every setting that is in effect.

    The command line wins over the environment, that over the settings file, and that over the default.
    Passwords are not shown. In a pipe: NAME=value, and with --origin its origin after a tab.

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
    elif output.draws:
        columns = ("Setting", "Value", "From") if origin else ("Setting", "Value")
        rows = [(one.name, visible(one.value) or "not set", visible(str(one.origin))) for one in settings]
        output.table("", columns, [row[: len(columns)] for row in rows], text_columns=3)
    else:
        for one in settings:
            output.line(
                f"{one.name}={visible(one.value)}" + (f"\t{visible(str(one.origin))}" if origin else "")
            )


def _fields(one: Setting) -> dict[str, object]:
    return {"name": one.name, "value": one.value, "origin": asdict(one.origin)}
