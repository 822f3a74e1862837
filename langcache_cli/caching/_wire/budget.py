"""How long Redis may keep a call waiting."""

from __future__ import annotations


class Budget:
    """The seconds that Redis may still cost one call, over all its operations.

    Those in which the event loop was busy with something else do not count.
    """

    __slots__ = ("left",)

    def __init__(self, seconds: float) -> None:
        self.left = seconds
