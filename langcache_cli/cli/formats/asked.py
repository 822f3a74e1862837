"""Which format the command line asks for, for errors that come before its options are known."""

from __future__ import annotations

from collections.abc import Sequence


def asked_format(arguments: Sequence[str]) -> str:
    """The value of ``--format``; empty without one. ``--json`` is ``json``."""
    if "--json" in arguments:
        return "json"
    found = ""
    for place, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument.startswith("--format="):
            found = argument.partition("=")[2]
        elif argument == "--format":
            found = "".join(arguments[place + 1 : place + 2])
    return found
