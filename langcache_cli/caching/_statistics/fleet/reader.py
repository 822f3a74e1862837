"""Reads the counters of the whole fleet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._errors import CacheUnavailableError, ServerReplyError
from langcache_cli.caching._statistics.counters import Counts, add_counts
from langcache_cli.caching._statistics.fleet.field_names import LATE, FieldReader, add_fields, parts_for
from langcache_cli.caching._statistics.fleet.label_ids import LabelIds
from langcache_cli.caching._statistics.fleet.old_totals import OldTotals
from langcache_cli.caching._statistics.fleet.tiers import (
    HOURS,
    MINUTES,
    Tier,
    stats_key,
    stats_stem,
    tier_for,
)
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._wire.budget import Budget

logger = logging.getLogger("langcache_cli.caching")

Unread = list[CacheUnavailableError]
"""Takes why a part of the counters could not be read; without one the error is raised."""

HASHES_PER_READ = 20
"""Hashes read in one round trip: adding them up takes about a millisecond, and other work goes on between."""


class FleetReader:
    """Reads the sums of what all processes have counted."""

    def __init__(self, server: Server, namespace: str, *, now_ms: Callable[[], int]) -> None:
        self._server = server
        self._now_ms = now_ms
        self._stem = stats_stem(namespace)
        self._ids = LabelIds(server, self._stem)
        self._old = OldTotals(server, self._stem)
        self._has_warned = False
        self._labels_before: dict[bytes, Label] = {}

    async def read(
        self, window_seconds: int, budget: Budget | None = None, *, tier: Tier | None = None
    ) -> tuple[int, dict[Label, Counts]]:
        """The counters of the last ``window_seconds``: full minutes or hours, and the current one.

        What is damaged is left out, and logged once.

        Args:
            window_seconds: How far back.
            budget: Upper bound for the time; None lets each round trip take the server's own.
            tier: Which hashes to read; None for the finest that hold the window.

        Returns:
            How far back they go in seconds, never less than was asked for, and the counters.

        Raises:
            CacheError: Redis did not answer, or refused.
        """
        tier, now = tier or tier_for(window_seconds), self._now()
        starts = list(tier.starts(window_seconds, now))
        steps = await self.read_steps(tier, {starts[0]: starts}, budget)
        return now - starts[0], steps[starts[0]]

    async def read_steps(
        self,
        tier: Tier,
        steps: Mapping[int, Sequence[int]],
        budget: Budget | None = None,
        *,
        unread: Unread | None = None,
    ) -> dict[int, dict[Label, Counts]]:
        """The counters of steps of time.

        Args:
            tier: Whose hashes to read.
            steps: For the start of each step the starts of its hashes, in seconds since 1970.
            budget: Upper bound for the time; None lets each round trip take the server's own.
            unread: Takes why counters on nodes of a cluster that are away are left out; None leaves out none.

        Returns:
            The counters by the start of the step.

        Raises:
            CacheError: Redis did not answer, or refused.
        """
        labels = await self._labels(budget, unread)
        step_of = {start: step for step, starts in steps.items() for start in starts}
        raw = await self._sums(tier, step_of, parts_for(len(labels)), budget, unread)
        reader = FieldReader(labels, is_coarse=tier.is_coarse)
        found: dict[int, dict[Label, Counts]] = {}
        for step in steps:
            found[step] = reader.counts(raw.get(step, {}))
            await asyncio.sleep(0)
        await self._add_old(tier, step_of, found, budget, unread)
        return found

    async def late_minutes(
        self, since: int, budget: Budget | None = None, *, unread: Unread | None = None
    ) -> set[int]:
        """Minutes to which counts were added more than a minute later, as noted since a moment.

        ``unread`` is that of `read_steps`.

        Raises:
            CacheError: Redis did not answer, or refused.
        """
        parts = parts_for(len(await self._labels(budget, unread)))
        minutes = dict.fromkeys(range(MINUTES.start(since), self._now() + 1, MINUTES.seconds), 0)
        noted = (await self._sums(MINUTES, minutes, parts, budget, unread)).get(0, {})
        return {int(field[1:]) for field in noted if field.startswith(LATE) and field[1:].isdigit()}

    async def _labels(self, budget: Budget | None, unread: Unread | None) -> dict[bytes, Label]:
        """The labels; those that were read before, while their node is away."""
        try:
            labels = await self._ids.read(budget)
        except CacheUnavailableError as error:
            if unread is None or not self._labels_before:
                raise
            unread.append(error)
            return self._labels_before
        if labels is None:
            self._warn_of_damage()
        self._labels_before = labels or {}
        return self._labels_before

    async def _sums(
        self,
        tier: Tier,
        step_of: Mapping[int, int],
        parts: int,
        budget: Budget | None,
        unread: Unread | None,
    ) -> dict[int, dict[bytes, int]]:
        """The fields of all parts by the step that each hash belongs to."""
        sums: dict[int, dict[bytes, int]] = {}
        wanted = [
            (step, stats_key(self._stem, part, tier, start))
            for start, step in step_of.items()
            for part in range(parts)
        ]
        for place in range(0, len(wanted), HASHES_PER_READ):
            batch = wanted[place : place + HASHES_PER_READ]
            replies = await self._server.call_each([("HGETALL", key) for _, key in batch], budget=budget)
            for (step, _), reply in zip(batch, replies, strict=True):
                if isinstance(reply, CacheUnavailableError):
                    if unread is None:
                        raise reply
                    unread.append(reply)
                elif isinstance(reply, ServerReplyError):
                    if reply.code != "WRONGTYPE":
                        raise reply
                    self._warn_of_damage()
                elif reply and not add_fields(sums.setdefault(step, {}), reply):
                    self._warn_of_damage()
        return sums

    async def _add_old(
        self,
        tier: Tier,
        step_of: Mapping[int, int],
        found: dict[int, dict[Label, Counts]],
        budget: Budget | None,
        unread: Unread | None,
    ) -> None:
        """Add what version 0.1 has counted."""
        first, last = min(step_of), max(step_of) + tier.seconds - 1
        try:
            async for start, counts in self._old.read(first, last, budget, by_hour=tier is HOURS):
                if counts is None:
                    self._warn_of_damage()
                    continue
                step = step_of.get(tier.start(start))
                if step is not None:
                    add_counts(found[step], counts)
        except CacheUnavailableError as error:
            if unread is None:
                raise
            unread.append(error)

    def _warn_of_damage(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning("statistics in Redis are damaged, and that part is left out: %s*", self._stem)

    def _now(self) -> int:
        return self._now_ms() // 1000
