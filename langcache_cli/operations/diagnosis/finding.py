"""One thing that is wrong, or could not be looked at: what it is, why it matters, what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
"""``error``: something does not work, or may return old values. ``warning``: it works, and may not for long.
``note``: something that could not be looked at, that a right or a service does not allow, or that is over."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes:
        name: For scripts; it stays the same when the sentences change.
        severity: How bad it is.
        found: What was found, one sentence without a full stop.
        why: Why it matters.
        mend: What to type or to change; empty if the explanation of ``error`` says it.
        where: Host and port of each server that it is about; empty for all together.
        error: The error behind it, which decides the exit code; None for one that has no code of its own.
    """

    name: str
    severity: Severity
    found: str
    why: str
    mend: str = ""
    where: tuple[str, ...] = ()
    error: Exception | None = None
