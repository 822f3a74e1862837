"""What an entry in memory relies on: a time in which one connection has missed no change."""

from __future__ import annotations

MAX_LAG_SECONDS = 0.2
"""Upper bound for the lag behind Redis: the last answered request must not have been sent longer ago."""


class Generation:
    """A time in which a node of a cluster has pushed every change of its keys.

    It ends for good when a change may have been missed; entries that rely on it are not served any more.
    """

    __slots__ = ("has_ended", "is_used", "proven_until")

    def __init__(self) -> None:
        """Begin; nothing is proven yet."""
        self.has_ended = False
        self.is_used = False
        """True if an entry was served since the last heartbeat."""
        self.proven_until = float("-inf")
        """Until when entries may be served, by `time.monotonic`."""

    def prove(self, sent_at: float) -> None:
        """A request that was sent at ``sent_at`` was answered: all changes before it have been received."""
        if not self.has_ended:
            self.proven_until = max(self.proven_until, sent_at + MAX_LAG_SECONDS)

    def end(self) -> None:
        """A change may have been missed, or will be."""
        self.has_ended = True
        self.proven_until = float("-inf")
