"""One check, as the formats for CI and monitoring show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Outcome:
    """One check.

    Attributes:
        name: What was checked.
        result: How it went; ``failed`` and ``unknown`` fail.
        detail: What was found, or what is wrong.
        hint: What to type next; empty if nothing has to be done.
        seconds: How long it took.
    """

    name: str
    result: Literal["ok", "warning", "failed", "unknown"]
    detail: str
    hint: str = ""
    seconds: float = 0.0

    @property
    def fails(self) -> bool:
        """True if it did not pass."""
        return self.result in ("failed", "unknown")

    @property
    def sentence(self) -> str:
        """What was found and what to type next."""
        return f"{self.detail}; {self.hint}" if self.hint else self.detail


Outcomes = Sequence[Outcome]
