"""Keys whose values could not be stored: their calls gain nothing from waiting for each other's loads."""

from __future__ import annotations

from time import monotonic

REMEMBERED_SECONDS = 60.0
MAX_KEYS = 10_000


class UncacheableKeys:
    """A set that forgets each key after a minute."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def __contains__(self, key: str) -> bool:
        """True if the last value of this key could not be stored."""
        until = self._until.get(key)
        return until is not None and monotonic() < until

    def add(self, key: str) -> None:
        """Let calls of this key run side by side from now on."""
        if len(self._until) >= MAX_KEYS:
            self._until.clear()
        self._until[key] = monotonic() + REMEMBERED_SECONDS
