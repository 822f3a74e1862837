"""Global options may stand anywhere on the command line, not only before the subcommand."""

from __future__ import annotations

from collections.abc import Sequence

FLAGS = frozenset({"--json", "-q", "--quiet", "-v", "--verbose", "--no-color", "--no-input", "--debug"})
WITH_VALUE = frozenset({"--url-file", "--env-file", "--namespace", "--timeout", "--log-format"})


def global_options_first(arguments: Sequence[str]) -> list[str]:
    """The same arguments with the global options in front, where the parser expects them.

    What follows ``--`` stays where it is.
    """
    front: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            rest += [argument, *waiting]
        elif argument in FLAGS or argument.startswith(tuple(f"{name}=" for name in WITH_VALUE)):
            front.append(argument)
        elif argument in WITH_VALUE:
            front += [argument, *([value] if (value := next(waiting, None)) is not None else [])]
        else:
            rest.append(argument)
    return front + rest
