"""Adds the counters of one process to those of the fleet."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence

from langcache_cli.caching._clock import new_id
from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._errors import CacheError, CacheUnavailableError
from langcache_cli.caching._fork import call_in_child
from langcache_cli.caching._statistics.counters import ByMinute, Counts, add_counts
from langcache_cli.caching._statistics.fleet.count_script import Portion, deliver
from langcache_cli.caching._statistics.fleet.field_names import LATE, coarse, encoded, part_of, parts_for
from langcache_cli.caching._statistics.fleet.label_ids import LabelIds
from langcache_cli.caching._statistics.fleet.tiers import MINUTES, TIERS, stats_key, stats_stem
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._wire.budget import Budget

WRITE_TIMEOUT_SECONDS = 1.0
"""Upper bound for one delivery."""

FIELDS_PER_DELIVERY = 120
"""Each is added to three hashes: Redis is busy for about half a millisecond."""

DELIVERIES_AT_ONCE = 4
"""To one server, which executes what comes at once without a break."""

LATE_AFTER_SECONDS = MINUTES.seconds + 20
"""Later than this, counted from the start of their minute, counts are noted as late: readers read again."""

DELIVERY_KEPT_SECONDS = 300
"""So long Redis knows which delivery of a process was its latest: it may be repeated until then."""


class FleetWriter:
    """Adds the counters of one process, from one event loop."""

    def __init__(self, server: Server, namespace: str, *, now_ms: Callable[[], int]) -> None:
        self._server = server
        self._now_ms = now_ms
        self._stem = stats_stem(namespace)
        self._ids = LabelIds(server, self._stem)
        self._process = new_id()
        self._at_once = None if server.is_cluster else DELIVERIES_AT_ONCE
        self._deliveries = 0
        self._unconfirmed: dict[int, Portion] = {}
        """By part: what Redis may have added or not. It is sent again, the same, before anything else."""
        self._confirmed_at: dict[int, int] = {}
        call_in_child(self, "_start_in_child")

    def _start_in_child(self) -> None:
        """Be another process than the parent, whose deliveries are its own to confirm."""
        self._process = new_id()
        self._unconfirmed.clear()
        self._confirmed_at.clear()

    @property
    def is_down(self) -> bool:
        """True while nothing can be delivered, as far as the connection knows."""
        return self._server.is_down

    def use(self, server: Server) -> None:
        """Deliver over another connection from now on."""
        self._server = server
        self._ids.use(server)

    async def add(self, counts: ByMinute, *, within: float | None = None) -> None:
        """Add one process' counters, each to the hashes of its minute, exactly once.

        Args:
            counts: The counters; what is Redis' from now on is removed.
            within: Upper bound for the time in seconds, if that is less than `WRITE_TIMEOUT_SECONDS`.

        Raises:
            CacheError: Redis did not confirm all of it.
        """
        seconds = WRITE_TIMEOUT_SECONDS if within is None else min(within, WRITE_TIMEOUT_SECONDS)
        budget = Budget(seconds)
        failure = await self._send(list(self._unconfirmed), budget)
        labels = {label for of_minute in counts.values() for label in of_minute}
        ids = await self._ids.of(labels, self._now(), budget)
        waiting = _divided(counts, ids)
        while parts := [part for part, some in waiting.items() if some and part not in self._unconfirmed]:
            parts = parts[: self._at_once]
            for part in parts:
                minute, some = waiting[part].popleft()
                self._unconfirmed[part] = self._portion(minute, part, some, ids)
                for label in some:
                    del counts[minute][label]
            failure = await self._send(parts, budget) or failure
        await self._ids.of((), self._now(), budget)  # again, if Redis has lost them
        for minute in [minute for minute, rest in counts.items() if not rest]:
            del counts[minute]
        if failure is not None:
            raise failure

    @property
    def parts(self) -> int:
        """Into how many parts the counters of this process are divided."""
        return parts_for(self._ids.amount)

    @property
    def has_unconfirmed(self) -> bool:
        """True if something is to be sent again."""
        return bool(self._unconfirmed)

    def too_slow(self) -> CacheUnavailableError:
        """The error of a delivery that did not get its turn in time."""
        return self._server.unavailable("an earlier delivery of the statistics has not ended yet")

    def unconfirmed(self) -> ByMinute:
        """What was sent and never confirmed; from now on that is the caller's to deliver."""
        left: ByMinute = {}
        for portion in self._unconfirmed.values():
            add_counts(left.setdefault(portion.minute, {}), portion.counts)
        self._unconfirmed.clear()
        return left

    async def _send(self, parts: Sequence[int], budget: Budget) -> CacheError | None:
        """Send what these parts have not confirmed; returns why some failed."""
        if not parts:
            return None
        try:
            outcomes = await deliver(self._server, [self._unconfirmed[part] for part in parts], budget)
        except CacheUnavailableError as error:
            if not self._server.is_cluster:
                raise
            return error
        failure = None
        for part, outcome in zip(parts, outcomes, strict=True):
            if isinstance(outcome, CacheError):
                failure = outcome
            else:
                self._confirmed(part, is_first=outcome)
        return failure

    def _confirmed(self, part: int, *, is_first: bool) -> None:
        del self._unconfirmed[part]
        now = self._now()
        if is_first and now - self._confirmed_at.get(part, -DELIVERY_KEPT_SECONDS) < DELIVERY_KEPT_SECONDS:
            self._ids.write_again()
        self._confirmed_at[part] = now

    def _portion(
        self, minute: int, part: int, counts: dict[Label, Counts], ids: Mapping[Label, str]
    ) -> Portion:
        fine = [field for label, items in counts.items() for field in encoded(ids[label], items)]
        now = self._now()
        this_minute = MINUTES.start(now)
        self._deliveries += 1
        return Portion(
            minute,
            counts,
            keys=(
                f"{self._stem}{{{part}}}:from:{self._process}",
                *(stats_key(self._stem, part, tier, minute) for tier in TIERS),
                stats_key(self._stem, part, MINUTES, this_minute),
            ),
            arguments=(
                self._deliveries,
                DELIVERY_KEPT_SECONDS,
                *(tier.left_seconds(minute, now) for tier in TIERS),
                MINUTES.left_seconds(this_minute, now),
                f"{LATE.decode()}{minute}" if now - minute >= LATE_AFTER_SECONDS else "",
                2 * len(fine),
                *(word for field in fine for word in field),
                *(word for field in coarse(fine).items() for word in field),
            ),
        )

    def _now(self) -> int:
        return self._now_ms() // 1000


def _divided(counts: ByMinute, ids: Mapping[Label, str]) -> dict[int, deque[tuple[int, dict[Label, Counts]]]]:
    """For each part the minute and the counters of each delivery, oldest first."""
    parts = parts_for(len(ids))
    divided: defaultdict[int, deque[tuple[int, dict[Label, Counts]]]] = defaultdict(deque)
    for minute in sorted(counts):
        for label, items in counts[minute].items():
            of_part = divided[part_of(ids[label], parts)]
            latest = of_part[-1] if of_part else None
            if latest is None or latest[0] != minute or _size(latest[1]) + len(items) > FIELDS_PER_DELIVERY:
                of_part.append((minute, {label: items}))
            else:
                latest[1][label] = items
    return divided


def _size(counts: Mapping[Label, Counts]) -> int:
    return sum(map(len, counts.values()))
