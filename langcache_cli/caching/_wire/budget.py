"""The time that Redis may add to one call."""

from __future__ import annotations


class Budget:
    """Seconds left for all Redis operations of one call; a busy event loop is not charged (`IdleClock`)."""

    __slots__ = ("left",)

    def __init__(self, seconds: float) -> None:
        self.left = seconds
