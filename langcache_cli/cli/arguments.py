"""The global options. They may stand anywhere on the command line, not only before the subcommand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from langcache_cli.cli.log_lines import LogFormat

UrlFile = Annotated[Path | None, typer.Option(help="Read REDIS_URL from this file.", metavar="FILE")]
EnvFile = Annotated[
    Path | None,
    typer.Option(help="Read settings from this file instead of .env; it has to be there.", metavar="FILE"),
]
Namespace = Annotated[
    str | None, typer.Option(help="Use this namespace, the first part of every key.", metavar="NAME")
]
Timeout = Annotated[
    float | None,
    typer.Option(
        help="Wait at most this long for each answer of Redis or the database; 2 by default.",
        metavar="SECONDS",
        min=0.01,
        max=60,
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json", help="Print one JSON document on stdout, also for errors.", is_eager=True
    ),  # before --version
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print errors, and what was asked to be shown, only."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print more, and the warnings of libraries.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="Print without colours, as NO_COLOR does.")]
NoInput = Annotated[bool, typer.Option("--no-input", help="Never ask; what would need an answer is refused.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
LogFormatOption = Annotated[
    LogFormat,
    typer.Option(
        "--log-format",
        help="Write stderr as text, or as one JSON object a line, the warnings of libraries too.",
    ),
]

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
