"""Durations as applications write them: seconds, a `timedelta`, or a text such as ``"1h30m"``."""

from __future__ import annotations

import re
from datetime import timedelta

Duration = float | timedelta | str
"""Seconds, a `timedelta`, or numbers with units from weeks to seconds: ``"30m"``, ``"1h30m"``, ``"1.5d"``."""

_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"
_TEXT = re.compile(r"\s*".join(rf"(?:({_NUMBER}){unit})?" for unit in _UNITS), re.ASCII)


def seconds_of(duration: object) -> float:
    """A duration in seconds. Its range is not checked: it may be negative, infinite or not a number.

    Raises:
        TypeError: It is neither a number, nor a `timedelta`, nor a text.
        ValueError: The text is not a duration.
    """
    if isinstance(duration, str):
        return _seconds_in(duration)
    if isinstance(duration, timedelta):
        return duration.total_seconds()
    if isinstance(duration, int | float) and not isinstance(duration, bool):
        return duration
    raise TypeError(
        f"a {type(duration).__qualname__} is not a duration: use seconds, a timedelta, or text such as '30m'"
    )


def _seconds_in(text: str) -> float:
    match = _TEXT.fullmatch(text.strip())
    numbers = match.groups() if match is not None else ()
    if not any(numbers):
        raise ValueError(
            f"{text!r} is not a duration: write numbers with w, d, h, m or s, the largest unit first, "
            "such as '30m' or '1h30m'"
        )
    parts = zip(numbers, _UNITS.values(), strict=True)
    return sum(float(number) * seconds for number, seconds in parts if number)
