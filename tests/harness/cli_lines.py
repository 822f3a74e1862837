"""Command lines in documents and examples: whether the command takes them, without running anything."""

from collections.abc import Sequence

import typer.main

from langcache_cli.cli.arguments import WITH_VALUE, global_options_first
from langcache_cli.cli.main import app


def parsed(words: Sequence[str]) -> tuple[str, ...]:
    """The command that `langcache ...` calls; raises what the command line would end with, if it is wrong."""
    rest = global_options_first(words[1:])
    while rest and rest[0].startswith("-"):
        rest = rest[2 if rest[0] in WITH_VALUE else 1 :]
    command, path = typer.main.get_command(app), list[str]()
    while commands := getattr(command, "commands", None):
        if command.invoke_without_command and (not rest or rest[0] not in commands):
            break  # a group that is a command itself
        name, *rest = rest
        path.append(name)
        command = commands[name]
    command.make_context(path[-1], rest)
    return tuple(path)
