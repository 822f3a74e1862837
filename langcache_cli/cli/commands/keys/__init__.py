"""The commands ``langcache keys``: one module each."""

from __future__ import annotations

import typer

from langcache_cli.cli.commands.keys import entry, explain, listing, summary

app = typer.Typer(
    help="Look at the keys of the namespace: list, count, decode, and say what a call would find.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("list")(listing.list_)
app.command("summary")(summary.summary)
app.command("get")(entry.get)
app.command("ttl")(entry.ttl)
app.command("explain")(explain.explain)
