"""The options of ``langcache check`` that have to be read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError


class Format(StrEnum):
    """How the report is printed."""

    TEXT = "text"
    JSON = "json"
    NAGIOS = "nagios"
    JUNIT = "junit"
    GITHUB = "github"


def type_names(option: str, names: Sequence[str]) -> tuple[str, ...]:
    """Names of cache types, or prefixes of an application.

    Raises:
        CommandError: One is neither.
    """
    for name in names:
        if not re.fullmatch(r"[\w.-]+", name):
            raise CommandError(
                ExitCode.USAGE, f"{option} {name!r}: give a cache type", "See 'langcache types'."
            )
    return tuple(dict.fromkeys(names))


def least_keys(values: Sequence[str]) -> dict[str, int]:
    """The types and numbers of ``vocabulary=1000``.

    Raises:
        CommandError: One is not written so.
    """
    found: dict[str, int] = {}
    for value in values:
        name, equals, number = value.partition("=")
        if not (equals and re.fullmatch(r"[1-9][0-9_,]{0,15}", number)):
            message = f"--min-keys {value!r}: give a cache type and a number, such as vocabulary=1000"
            raise CommandError(ExitCode.USAGE, message)
        found[type_names("--min-keys", [name])[0]] = int(number.replace(",", ""))
    return found
