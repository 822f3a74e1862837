"""How the command ends, for the scripts that run it."""

from __future__ import annotations

from enum import IntEnum


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
