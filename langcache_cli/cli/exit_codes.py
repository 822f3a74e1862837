"""How the command ends, for the scripts that run it."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """Documented and tested; those above 63 are the ones of sysexits.h."""

    DONE = 0
    CHECK_FAILED = 1
    USAGE = 2
    PARTIAL = 3
    REFUSED = 4
    UNREACHABLE = 69
    BUG = 70
    TRY_LATER = 75
    NO_PERMISSION = 77
    BAD_CONFIGURATION = 78
    INTERRUPTED = 130


MEANINGS: Final = {
    ExitCode.DONE: "done",
    ExitCode.CHECK_FAILED: "a check or a threshold failed",
    ExitCode.USAGE: "the command line is wrong",
    ExitCode.PARTIAL: "done in part; the output says how much",
    ExitCode.REFUSED: "refused: not confirmed, or not allowed where LANGCACHE_ENV is prod",
    ExitCode.UNREACHABLE: "Redis or the database cannot be reached, or takes no changes",
    ExitCode.BUG: "a bug of langcache; --debug shows where",
    ExitCode.TRY_LATER: "try again later: another langcache is at it, or Redis is still loading",
    ExitCode.NO_PERMISSION: "Redis or the database refuses the login or a right",
    ExitCode.BAD_CONFIGURATION: "a setting is wrong",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C or SIGTERM",
}
