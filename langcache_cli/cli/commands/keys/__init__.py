"""The commands ``langcache keys``: one module each."""

from __future__ import annotations

from functools import partial

import typer

from langcache_cli.cli.commands.keys import entry, explain, listing, summary
from langcache_cli.cli.help import HelpfulCommand, HelpfulGroup

HELP = """Look at the keys of the namespace: list, count, decode.

Examples:
    langcache keys list --find Haus
    langcache keys get cache:vocabulary:get_vocabulary_word:7
    langcache keys explain langcache_cli.vocabulary:get_vocabulary_word 7
"""

app = typer.Typer(cls=HelpfulGroup, help=HELP, no_args_is_help=True, rich_markup_mode=None)
command = partial(app.command, cls=HelpfulCommand)
command("list")(listing.list_)
command("summary")(summary.summary)
command("get")(entry.get)
command("ttl")(entry.ttl)
command("explain")(explain.explain)
