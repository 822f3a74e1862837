"""The time of day, and ids that never repeat."""

from __future__ import annotations

import os
import time
from typing import TypeGuard

ID_DIGITS = 16
"""Hex digits of an id: 64 random bits."""


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """A random id. Never a counter or a clock: after a restart or a failover those repeat."""
    return os.urandom(ID_DIGITS // 2).hex()


def new_ids(count: int) -> list[str]:
    """Several random ids."""
    digits = os.urandom(ID_DIGITS // 2 * count).hex()
    return [digits[at : at + ID_DIGITS] for at in range(0, len(digits), ID_DIGITS)]


def is_id(text: str | None) -> TypeGuard[str]:
    """True for what `new_id` may have returned."""
    return text is not None and len(text) == ID_DIGITS and text.isascii() and text.isalnum()
