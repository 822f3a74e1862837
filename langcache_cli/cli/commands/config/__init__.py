"""The commands ``langcache config``: one module each."""

from __future__ import annotations

import typer

from langcache_cli.cli.commands.config import show, validate

app = typer.Typer(
    help="See the settings in effect and where each comes from. Needs no Redis.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("show")(show.show)
app.command("validate")(validate.validate)
