"""The commands ``langcache bench`` and ``langcache bench compare``."""

from __future__ import annotations

import typer

from langcache_cli.cli.commands.bench.compare import compare
from langcache_cli.cli.commands.bench.measure import bench
from langcache_cli.cli.help import HelpfulCommand, HelpfulGroup

app = typer.Typer(cls=HelpfulGroup, rich_markup_mode=None)
app.callback(invoke_without_command=True)(bench)
app.command("compare", cls=HelpfulCommand)(compare)
