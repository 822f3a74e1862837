"""The command line of a run, for those who want to do the same again."""

from __future__ import annotations

import shlex

import typer


def command_line(context: typer.Context) -> str:
    """The command and its options that are not at their defaults, global ones last; no option is a secret."""
    words = ["langcache", context.info_name or ""]
    for part in (context, context.parent):
        if part is None:
            continue
        for parameter in part.command.params:
            value = part.params.get(parameter.name or "")
            if value is None or value == parameter.get_default(part):
                continue
            for item in value if isinstance(value, list | tuple) else [value]:
                text = f"{item:g}" if isinstance(item, float) else str(item)
                words += [parameter.opts[0]] if item is True else [parameter.opts[0], text]
    return shlex.join(words)
