"""What each call of a cached function was, and how long it took: for those who ask, and only while they do.

Nothing is added to a call while nobody asks: what a call was is told by the events that count it, which one
hook notes for the call that the running code is part of.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic, time
from typing import Any, Literal

from langcache_cli.caching._blocks import recorded_call
from langcache_cli.caching._statistics.events import CacheEvent
from langcache_cli.caching._statistics.labels import Label

logger = logging.getLogger("langcache_cli.caching")

Outcome = Literal["hit", "near", "stale", "miss", "waited", "bypassed", "refreshed"]
"""What a call was: see `CallRecord`."""

_OUTCOMES: dict[str, tuple[int, Outcome]] = {
    "hits": (1, "hit"),
    "misses": (1, "miss"),
    "near": (2, "near"),
    "stale": (2, "stale"),
    "joined": (3, "waited"),
    "bypassed": (3, "bypassed"),
}
"""By the name of the event what it says of a call; a higher number says more."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call of a cached function, or one item of a call of a function for many, after its end.

    Attributes:
        function: Its name, as in the key.
        key: The Redis key that was asked for.
        outcome: ``hit`` (from Redis), ``near`` (from the memory of the process), ``stale`` (a hit after its
            TTL), ``miss`` (this call ran the function), ``waited`` (a load of another call had the value),
            ``bypassed`` (past the cache: in `Cache.bypassed`, or because Redis could not be used) or
            ``refreshed`` (loaded anew in `Cache.refreshing`). A call that raised has it, too.
        seconds: How long the call took, with the run of the function if there was one. The items of one call
            for many all have the time of that call.
        started: When it began, in seconds since 1970.
        label: The cache type, the prefix and the function.
    """

    function: str
    key: str
    outcome: Outcome
    seconds: float
    started: float
    label: Label


Record = Callable[[CallRecord], object]
"""Is called with each call after its end, in the task and thread of the call."""


class RecordedCall:
    """A context manager around one call: notes what it is, and says so at its end."""

    def __init__(
        self, label: Label, keys: Sequence[str], recorders: Sequence[Record], outcome: Outcome | None = None
    ) -> None:
        """Prepare.

        Args:
            label: Of the function.
            keys: What is asked for.
            recorders: Who is told.
            outcome: What it is, if that is known beforehand; otherwise the events decide.
        """
        self._label = label
        self._recorders = recorders
        self._is_decided = outcome is not None
        self._outcomes: dict[str, tuple[int, Outcome]] = dict.fromkeys(keys, (0, outcome or "miss"))

    def __enter__(self) -> None:
        self._outer: Any = recorded_call.get()
        recorded_call.set(self)
        self._started, self._began = time(), monotonic()

    def __exit__(self, *_: object) -> None:
        seconds = monotonic() - self._began
        self._is_decided = True
        recorded_call.set(self._outer)
        name = self._label.function
        for key, (_rank, outcome) in self._outcomes.items():
            record = CallRecord(name, key, outcome, seconds, self._started, self._label)
            for recorder in self._recorders:
                try:
                    recorder(record)
                except Exception:  # of the application, whatever it is: a record must not fail a call
                    logger.exception("a recorder of calls failed on %s", name)

    def note(self, event: CacheEvent) -> None:
        """Take from an event what it says of this call."""
        found, key = _OUTCOMES.get(event.name), event.key
        if found is None or key is None or self._is_decided:
            return
        known = self._outcomes.get(key)
        if known is not None and found[0] >= known[0]:
            self._outcomes[key] = found


def note(event: CacheEvent) -> None:
    """Note an event for the call that the running code is part of: a hook for events."""
    call: RecordedCall | None = recorded_call.get()
    if call is not None:
        call.note(event)
