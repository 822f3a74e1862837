"""Which shell ``--show-completion`` and ``--install-completion`` are about: the one named, or this one."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError

SHELLS: Final = ("bash", "zsh", "fish")
OPTIONS: Final = ("--show-completion", "--install-completion")

_NAMED: Final = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"
"""Lets typer take the name of a shell; without it typer ignores the name and finds out the shell itself."""


@contextlib.contextmanager
def shell_named(arguments: Sequence[str]) -> Iterator[Sequence[str]]:
    """The same arguments, with the name of the shell where one of the options stands.

    Raises:
        CommandError: There is no completion for the shell.
    """
    place = next((place for place, word in enumerate(arguments) if word in OPTIONS), None)
    if place is None:
        yield arguments
        return
    option, rest = arguments[place], arguments[place + 1 :]
    shell = rest[0] if rest else _this_shell()
    if shell not in SHELLS:
        whose = f"for {shell!r}" if shell else "for this shell, whose name is not known"
        raise CommandError(
            ExitCode.USAGE, f"there is no completion {whose}", f"Name one: langcache {option} bash|zsh|fish"
        )
    os.environ[_NAMED] = "1"
    try:
        yield [*arguments[:place], option, shell]
    finally:
        del os.environ[_NAMED]


def _this_shell() -> str:
    """The name of the shell that started this process; that of the login where it cannot be found out."""
    with contextlib.suppress(Exception):  # whatever keeps it from reading processes
        shellingham = importlib.import_module("shellingham")  # comes with typer; not needed otherwise
        return str(shellingham.detect_shell()[0])
    return Path(os.environ.get("SHELL", "")).name
