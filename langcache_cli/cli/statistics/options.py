"""The options of ``langcache stats``, and which of them contradict each other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.formats.atomic_file import AtomicFile

if TYPE_CHECKING:
    from langcache_cli.operations.statistics.limits import HitRateLimits

UNITS = {"m": 60, "h": 3600, "d": 86400}
LONGEST_SECONDS = 7 * 86400


class Format(StrEnum):
    """How the report is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PROM = "prom"
    NAGIOS = "nagios"


@dataclass(frozen=True, slots=True)
class StatsOptions:
    """What is asked for.

    Attributes:
        window: How far back, such as ``1h``.
        format: How to print; None if neither ``--format`` nor ``--json`` says so.
        limits: Hit rates.
        types: Only these cache types, with their functions.
        since_last: Show what was counted since the last run.
        state: Where the last run has left what it saw.
        textfile: Where metrics are written.
        server: Show what the server reports, and no cache types.
        memory: Show the memory of each type.
        exact: Look at every key.
        history: Show the course of the window.
    """

    window: str
    format: Format | None
    limits: HitRateLimits
    types: tuple[str, ...] = ()
    since_last: bool = False
    state: AtomicFile | None = None
    textfile: AtomicFile | None = None
    server: bool = False
    memory: bool = False
    exact: bool = False
    history: bool = False

    def require_sense(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            CommandError: Two do, or the window is none.
        """
        beside_history = (
            self.types or self.since_last or self.server or self.textfile or self.exact or self.memory
        )
        problems = {
            "--since-last needs --state FILE, where it keeps what it saw": (
                self.since_last and self.state is None
            ),
            "--state is for --since-last: add that option": self.state is not None and not self.since_last,
            "--history shows all types of a window, as a table or as JSON: leave out --type, --since-last, "
            "--server, --memory, --exact, --textfile and other formats": (
                self.history and bool(beside_history or self.format not in (None, Format.TABLE, Format.JSON))
            ),
            "--server shows no cache types: leave out --type": self.server and bool(self.types),
            "--warn-hit-rate is lower than the hit rate that fails: give a higher one": (
                self.limits.contradict
            ),
        }
        for message, is_so in problems.items():
            if is_so:
                raise CommandError(ExitCode.USAGE, message)
        window_seconds(self.window)


def window_seconds(window: str) -> int:
    """The seconds of a window such as ``5m``.

    Raises:
        CommandError: The text is not a window, or the window is longer than a week.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", window, re.ASCII)
    seconds = int(match[1]) * UNITS[match[2]] if match else 0
    if not 0 < seconds <= LONGEST_SECONDS:
        raise CommandError(
            ExitCode.USAGE, f"--window {window!r}: give minutes, hours or days up to 7d, such as 5m or 24h"
        )
    return seconds
