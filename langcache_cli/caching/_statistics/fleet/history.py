"""The counters of a window step by step, of which only what may have changed since is read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from langcache_cli.caching._errors import CacheUnavailableError
from langcache_cli.caching._statistics.counters import Counts, add_counts
from langcache_cli.caching._statistics.fleet.reader import FleetReader, Unread
from langcache_cli.caching._statistics.fleet.tiers import MINUTES, tier_for
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._wire.budget import Budget

FINAL_AFTER_SECONDS = 30
"""A step that was read so long after its end changes only by deliveries that are noted as late."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What was counted in a window.

    Attributes:
        at: The start of each step, in seconds since 1970, oldest first; the last one is running, and the
            others are at least the window.
        counts: The counters of each step.
        final: The starts of those that do not change any more.
        total: The counters of all steps together.
        unread: Why some are missing: nodes of a cluster that are away.
    """

    at: tuple[int, ...]
    counts: Mapping[int, Mapping[Label, Counts]]
    final: frozenset[int]
    total: Mapping[Label, Counts]
    unread: CacheUnavailableError | None = None


class History:
    """Reads one window again and again."""

    def __init__(
        self, reader: FleetReader, *, window_seconds: int, step_seconds: int, now_ms: Callable[[], int]
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            reader: Reads the counters.
            window_seconds: How far back; a multiple of the step.
            step_seconds: Length of a step, which begins at a multiple of it; a multiple of that of the tier.
            now_ms: The time, in milliseconds since 1970.
        """
        self._reader = reader
        self._tier = tier_for(window_seconds)
        if step_seconds % self._tier.seconds:
            raise ValueError(f"a step of {step_seconds} s is no multiple of {self._tier.seconds} s")
        self._window = window_seconds
        self._step = step_seconds
        self._now_ms = now_ms
        self._final: dict[int, dict[Label, Counts]] = {}
        self._final_total: dict[Label, Counts] = {}
        self._read_at = 0

    async def read(self, budget: Budget | None = None) -> Steps:
        """The window that ends now.

        Raises:
            CacheError: Redis did not answer, or refused.
        """
        now, unread = self._now_ms() // 1000, Unread()
        at = self._at(now)
        notes_are_gone = now - self._read_at > MINUTES.kept_seconds
        for start in [start for start in self._final if start < at[0] or notes_are_gone]:
            self._forget(start)
        if self._final:
            since = self._read_at - MINUTES.seconds
            for minute in await self._reader.late_minutes(since, budget, unread=unread):
                self._forget(self._start(minute))
        if not unread:  # else the next read asks again for what was late meanwhile
            self._read_at = now
        wanted = {
            start: range(start, min(start + self._step, now + 1), self._tier.seconds)
            for start in at
            if start not in self._final
        }
        found = await self._reader.read_steps(self._tier, wanted, budget, unread=unread)
        for start, counts in found.items():
            if not unread and start + self._step + FINAL_AFTER_SECONDS <= now:
                self._final[start] = counts
                add_counts(self._final_total, counts)
        total: dict[Label, Counts] = {}
        add_counts(total, self._final_total)
        for start, counts in found.items():
            if start not in self._final:
                add_counts(total, counts)
        steps = {**self._final, **found}
        return Steps(at, steps, frozenset(self._final), total, unread[0] if unread else None)

    def nothing(self) -> Steps:
        """The window that ends now, without a count."""
        return Steps(self._at(self._now_ms() // 1000), {}, frozenset(), {})

    def _at(self, now: int) -> tuple[int, ...]:
        """The start of each step."""
        return tuple(range(self._start(now - self._window), now + 1, self._step))

    def _start(self, moment: int) -> int:
        return moment - moment % self._step

    def _forget(self, start: int) -> None:
        counts = self._final.pop(start, None)
        if counts is None:
            return
        add_counts(self._final_total, counts, sign=-1)
        for label in counts:
            if not any(self._final_total.get(label, {}).values()):
                self._final_total.pop(label, None)
