"""A window of time in words."""

from __future__ import annotations

import re
import time
from typing import Final

UNITS: Final = {"m": "minute", "h": "hour", "d": "day"}

DAY_SECONDS: Final = 86400


def last(window: str) -> str:
    """What ``the last ...`` is about: ``hour`` for ``1h``, ``5 minutes`` for ``5m``."""
    match = re.fullmatch(r"([0-9]+)([mhd])", window)
    if match is None:
        return window
    unit = UNITS[match[2]]
    return unit if match[1] == "1" else f"{match[1]} {unit}s"


def clock(moment: float, *, now: float) -> str:
    """A moment of the past on the clock of this machine, with the day if that is more than a day ago."""
    of_day = "%H:%M" if now - moment < DAY_SECONDS else "%d %b %H:%M"
    return time.strftime(of_day, time.localtime(moment))
