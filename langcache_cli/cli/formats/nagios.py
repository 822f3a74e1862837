"""One line for Nagios, Icinga and others that run its plugins: a state, a sentence, figures.

Source: the Nagios Plugin Development Guidelines, https://nagios-plugins.org/doc/guidelines.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class NagiosState(IntEnum):
    """What a plugin reports; the value is its exit code."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that is kept and drawn.

    Attributes:
        label: Its name.
        value: The number; None if it is not known.
        unit: ``s``, ``%``, ``B``, ``c`` for a counter, or nothing.
        warning: The range that is no warning, as the guidelines write it: ``0.5:`` for at least 0.5.
        critical: The range that is not critical.
    """

    label: str
    value: float | None
    unit: str = ""
    warning: str = ""
    critical: str = ""

    def __str__(self) -> str:
        label = "'" + self.label.replace("'", "''").replace("=", "_") + "'"
        value = "U" if self.value is None else f"{_plain(self.value)}{self.unit}"
        return f"{label}={value};{self.warning};{self.critical}".rstrip(";")


def _plain(value: float) -> str:
    """A number without an exponent, which plugins must not use."""
    return str(value) if isinstance(value, int) else f"{value:.6f}".rstrip("0").rstrip(".")


def nagios_line(state: NagiosState, sentence: str, figures: Sequence[Figure] = ()) -> str:
    """The line, without a line end. What a sentence must not contain, ``|`` and line ends, is replaced."""
    said = " ".join(sentence.replace("|", "/").split())
    drawn = " ".join(map(str, figures))
    return f"LANGCACHE {state.name} - {said}" + (f" | {drawn}" if drawn else "")
