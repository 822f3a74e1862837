"""The commands ``langcache config``: one module each."""

from __future__ import annotations

from functools import partial

import typer

from langcache_cli.cli.commands.config import show, validate
from langcache_cli.cli.help import HelpfulCommand, HelpfulGroup

HELP = """See the settings in effect and where each comes from.

Examples:
    langcache config show --origin
    langcache config validate
"""

app = typer.Typer(cls=HelpfulGroup, help=HELP, no_args_is_help=True, rich_markup_mode=None)
command = partial(app.command, cls=HelpfulCommand)
command("show")(show.show)
command("validate")(validate.validate)
