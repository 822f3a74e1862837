"""The command ``langcache help``."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

import typer

from langcache_cli.cli.completion.values import commands
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output


def help_(
    ctx: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            help="The words of the command; none for all commands.",
            metavar="COMMAND",
            autocompletion=commands,
        ),
    ] = None,
) -> None:
    """Show the help of a command, as its --help does.

    Examples:
        langcache help
        langcache help keys list
    """
    invocation: Invocation = ctx.obj
    words = command or []
    text = _found(ctx, words).get_help()
    if invocation.json:
        Output(invocation).document("help", {"command": " ".join(words), "text": text})
    else:
        Output(invocation).line(text)


def _found(ctx: typer.Context, words: list[str]) -> Any:
    """The context of a command.

    Raises:
        CommandError: There is no such command.
    """
    context: Any = ctx.find_root()
    for number, word in enumerate(words):
        commands: dict[str, Any] = getattr(context.command, "commands", {})
        if word not in commands:
            before = "".join(f"{one} " for one in words[:number])
            near = difflib.get_close_matches(word, commands, n=1)
            hint = f"langcache help {before}{near[0] if near else ''}".strip()
            meant = f"; did you mean {before + near[0]!r}?" if near else ""
            message = f"there is no command {before + word!r}{meant}"
            raise CommandError(ExitCode.USAGE, message, f"Type '{hint}'.")
        context = commands[word].make_context(word, [], parent=context, resilient_parsing=True)
    return context
