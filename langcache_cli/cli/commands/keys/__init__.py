"""The commands ``langcache keys``: one module each."""

from __future__ import annotations

import shlex
from functools import partial
from typing import Any, Final

import typer

from langcache_cli.cli.commands.keys import entry, explain, listing, summary
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.help import HelpfulCommand, HelpfulGroup

HELP = """Look at the keys of the namespace: list, count, decode.

To remove one, type langcache clear --key KEY.

Examples:
    langcache keys list --find Haus
    langcache keys get cache:vocabulary:get_vocabulary_word:7
    langcache keys explain langcache_cli.vocabulary:get_vocabulary_word 7
"""

REMOVING: Final = ("delete", "del", "remove", "rm", "unlink", "clear")
"""Names that other tools have for what `langcache clear` does."""


class KeysGroup(HelpfulGroup):
    """The group, which knows where keys are removed."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As click does.

        Raises:
            CommandError: The command would be another one.
        """
        if args and args[0] in REMOVING and not ctx.resilient_parsing:
            key = shlex.quote(args[1]) if len(args) > 1 and not args[1].startswith("-") else "KEY"
            raise CommandError(
                ExitCode.USAGE,
                f"there is no command 'keys {args[0]}'",
                f"Type: langcache clear --key {key}",
            )
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=KeysGroup, help=HELP, no_args_is_help=True, rich_markup_mode=None)
command = partial(app.command, cls=HelpfulCommand)
command("list")(listing.list_)
command("summary")(summary.summary)
command("get")(entry.get)
command("ttl")(entry.ttl)
command("explain")(explain.explain)
