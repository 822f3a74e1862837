"""What each call of a cached function was, and how long it took: for those who ask, and only while they do.

Nothing is added to a call while nobody asks: what a call was is said by the events that count it, which are
noted for the call that the running code is part of.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from time import monotonic, time
from typing import Any, Literal, NamedTuple

from langcache_cli.caching._blocks import recorded_call
from langcache_cli.caching._statistics.labels import Label

logger = logging.getLogger("langcache_cli.caching")

Outcome = Literal["hit", "near", "stale", "miss", "waited", "bypassed", "refreshed"]
"""What a call was: see `CallRecord`."""

KNOWN = 9
"""The rank of an outcome that no event changes."""

_OUTCOMES: dict[str, tuple[int, Outcome]] = {
    "hits": (1, "hit"),
    "misses": (1, "miss"),
    "near": (2, "near"),
    "stale": (2, "stale"),
    "joined": (3, "waited"),
    "bypassed": (3, "bypassed"),
}
"""By the name of the event what it says of a call; a higher number says more."""


class CallRecord(NamedTuple):
    """One call of a cached function, or one item of a call of a function for many, after its end.

    Attributes:
        function: Its name, as in the key.
        key: The Redis key that was asked for.
        outcome: ``hit`` (from Redis), ``near`` (from the memory of the process), ``stale`` (a hit after its
            TTL), ``miss`` (this call ran the function), ``waited`` (a load of another call had the value),
            ``bypassed`` (past the cache: in `Cache.bypassed`, or because Redis could not be used) or
            ``refreshed`` (loaded anew in `Cache.refreshing`). A call that raised has one, too.
        seconds: How long the call took, with the run of the function if there was one. The items of one call
            for many all have the time of that call.
        started: When it began, in seconds since 1970.
        label: The cache type, the prefix and the function.
        raised: True if the call raised, or was cancelled.
    """

    function: str
    key: str
    outcome: Outcome
    seconds: float
    started: float
    label: Label
    raised: bool = False


Record = Callable[[CallRecord], object]
"""Is called with each call after its end, in the task and thread of the call."""


class RecordedCall:
    """One call while it runs: notes what it is, and says so at its end."""

    __slots__ = ("_began", "_is_over", "_outcomes", "_outer", "_started", "owner")

    def __init__(self, owner: object, keys: Sequence[str] = (), outcome: Outcome | None = None) -> None:
        """Prepare.

        Args:
            owner: Stands for the cache: the function may call those of another one.
            keys: What is asked for; none if the first event is to say that.
            outcome: What it is, if that is known beforehand; otherwise the events decide.
        """
        self.owner = owner
        self._outcomes: dict[str, tuple[int, Outcome]] = {}
        if keys:
            self._outcomes = dict.fromkeys(keys, (0, "miss") if outcome is None else (KNOWN, outcome))
        self._is_over = False

    def begin(self) -> None:
        """The code that follows is part of this call."""
        self._outer: Any = recorded_call.get()
        recorded_call.set(self)
        self._started, self._began = time(), monotonic()

    def end(
        self,
        label: Label,
        recorders: Sequence[Record],
        key: Callable[[], str] | None = None,
        *,
        raised: bool,
    ) -> None:
        """Say what it was.

        Args:
            label: Of the function.
            recorders: Who is told.
            key: What was asked for, if no event has said that. It may raise TypeError: then nothing is said.
            raised: The call raises.
        """
        seconds = monotonic() - self._began
        self._is_over = True
        recorded_call.set(self._outer)
        if not self._outcomes and key is not None:
            try:
                self._outcomes[key()] = (0, "miss")
            except TypeError:  # which the call has raised, too
                return
        for asked, (_, outcome) in self._outcomes.items():
            record = CallRecord(label.function, asked, outcome, seconds, self._started, label, raised)
            for recorder in recorders:
                try:
                    recorder(record)
                except Exception:  # of the application, whatever it is: a record must not fail a call
                    logger.exception("a recorder of calls failed on %s", label.function)

    def note(self, name: str, key: str | None) -> None:
        """Take from an event what it says of this call."""
        found = _OUTCOMES.get(name)
        if found is None or key is None or self._is_over:
            return
        known = self._outcomes.get(key)
        if known is None or found[0] >= known[0]:
            self._outcomes[key] = found
