"""Numbers as people read them at a glance."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

from langcache_cli.cli.output import percent
from langcache_cli.readable import number_of

if TYPE_CHECKING:
    from langcache_cli.operations.overview.document import Overview

WINDOW_UNITS: Final = {"m": "minute", "h": "hour", "d": "day"}

DAY_SECONDS: Final = 86400

THREE_DIGITS = 100
THOUSAND = 1000
MINUTE, TWO_DAYS = 60, 48


def short(count: float) -> str:
    """``812``, ``12.8k``, ``1.3M``."""
    for unit in ("", "k", "M", "G"):
        if count < THOUSAND or unit == "G":
            break
        count /= THOUSAND
    return f"{count:.0f}{unit}" if not unit or count >= THREE_DIGITS else f"{count:.1f}{unit}"


def latency(milliseconds: float | None) -> str:
    """``0.41 ms``, ``6.2 ms``, ``286 ms``, ``1.4 s``; a dash for none."""
    if milliseconds is None:
        return "-"
    if milliseconds >= THOUSAND:
        return f"{milliseconds / THOUSAND:.1f} s"
    if milliseconds >= THREE_DIGITS:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds:.1f} ms" if milliseconds >= 1 else f"{milliseconds:.2f} ms"


def duration(seconds: float) -> str:
    """``48 s``, ``12 min``, ``1 h 43 min``, ``3 days``."""
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / MINUTE)
    if minutes < MINUTE:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, MINUTE)
    if hours >= TWO_DAYS:
        return f"{round(hours / 24)} days"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def last(window: str) -> str:
    """What ``the last ...`` is about: ``hour`` for ``1h``, ``5 minutes`` for ``5m``."""
    match = re.fullmatch(r"([0-9]+)([mhd])", window)
    if match is None:
        return window
    unit = WINDOW_UNITS[match[2]]
    return unit if match[1] == "1" else f"{match[1]} {unit}s"


def clock(moment: float, *, now: float) -> str:
    """A moment of the past on the clock of this machine, with the day if that is more than a day ago."""
    of_day = "%H:%M" if now - moment < DAY_SECONDS else "%d %b %H:%M"
    return time.strftime(of_day, time.localtime(moment))


def verdict(overview: Overview) -> str:
    """The answer in one sentence."""
    if not overview["numbers"]:
        return "The counters did not come: no number of calls is known."
    total, window = overview["total"], overview["window"]
    if not total["calls"]:
        return f"No call was counted in the last {last(window)}."
    spared = f"; {duration(total['saved_seconds'])} spared" if total["saved_seconds"] >= 1 else ""
    return f"{percent(total['answered_ratio'])} of {number_of(total['calls'], 'call')} from the cache{spared}"
