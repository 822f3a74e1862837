"""The commands ``langcache redis ...``: the local server."""

from __future__ import annotations

from functools import partial

import typer

from langcache_cli.cli.commands.redis.lifecycle import restart, start, stop
from langcache_cli.cli.commands.redis.logs import logs, shell
from langcache_cli.cli.commands.redis.status import status
from langcache_cli.cli.help import HelpfulCommand, HelpfulGroup

HELP = """Start, stop and look at a local Redis.

Examples:
    langcache redis start                 with Docker Compose, or what is installed
    langcache redis start --port 6380     beside another one
    langcache redis status                does it answer, who started it, how is it
"""

app = typer.Typer(cls=HelpfulGroup, help=HELP, no_args_is_help=True, rich_markup_mode=None)
command = partial(app.command, cls=HelpfulCommand)
for run in (start, stop, restart, status, logs, shell):
    command()(run)
