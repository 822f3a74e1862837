"""What was counted since an earlier look: the counters of each hour, less what they were then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from langcache_cli.caching import Cache, ServerReplyError
from langcache_cli.caching.tooling import TIERS, CacheReport, Label, Numbers, ServerReport
from langcache_cli.operations.statistics.counters import reader_of
from langcache_cli.operations.statistics.state_file import Hours, State, StateError

HOURS = TIERS[-1]
"""Counts that arrive late are added to the hour in which they were counted."""

LATE_SECONDS = 22 * 3600
"""A process that has counted so long without Redis is still taken into account."""

LONGEST_SECONDS = 7 * 86400 + 3600
"""Between two runs: hours are kept for 8 days, and a weekly job may be late."""

Counts = Mapping[Label, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class SinceLast:
    """What is new.

    Attributes:
        report: What was counted since the last run; empty at the first run.
        previous_at: When that was, in seconds since 1970; None at the first run.
        first_run: Why there is nothing to compare with, such as ``is damaged``; empty otherwise.
        lost_hours: The starts of hours whose counters are fewer than they were: Redis lost them. What was
            counted in them since is shown, and is a lower bound.
        restarted: True if Redis was started since, or another server answers.
        evicted_keys: How many keys Redis has evicted since, or since its restart.
    """

    report: CacheReport
    previous_at: float | None
    first_run: str
    lost_hours: tuple[int, ...]
    restarted: bool
    evicted_keys: int


async def look(cache: Cache, server: ServerReport, previous: State | StateError) -> tuple[SinceLast, State]:
    """What is new, and what the next run is to compare with.

    Args:
        cache: The cache.
        server: What Redis reports about itself.
        previous: What the last run saw, or why that is not known.

    Raises:
        CacheError: Redis did not answer, or refused.
    """
    runtime, settings = cache.runtime(), cache.settings
    now = runtime.now_ms() / 1000
    if isinstance(previous, State):
        previous = _usable(previous, now, str(settings.target), settings.namespace)
    begin = now if isinstance(previous, StateError) else previous.at
    starts = range(HOURS.start(int(begin) - LATE_SECONDS), int(now) + 1, HOURS.seconds)
    hours = await reader_of(cache).read_steps(HOURS, {start: [start] for start in starts})
    servers = await _run_ids(cache)
    oldest = HOURS.start(int(now) - LATE_SECONDS)
    state = State(
        at=now,
        target=str(settings.target),
        namespace=settings.namespace,
        servers=servers,
        evicted_keys=server.evicted_keys,
        hours={start: counts for start, counts in hours.items() if start >= oldest},
    )
    if isinstance(previous, StateError):
        return SinceLast(CacheReport(0, {}), None, str(previous), (), restarted=False, evicted_keys=0), state
    restarted = bool(servers - previous.servers) or server.uptime_seconds + 2 < now - previous.at
    total, lost = difference(hours, previous.hours)
    evicted = server.evicted_keys - (0 if restarted else previous.evicted_keys)
    report = CacheReport(
        max(round(now - previous.at), 1), {label: Numbers(counts) for label, counts in total.items()}
    )
    return SinceLast(report, previous.at, "", lost, restarted, max(evicted, 0)), state


def difference(now: Hours, before: Hours) -> tuple[dict[Label, dict[str, int]], tuple[int, ...]]:
    """What was added to the counters, and the hours in which some have become fewer.

    Where that is so, Redis has lost them, and what is there now was counted since.
    """
    total: dict[Label, dict[str, int]] = {}
    lost: list[int] = []
    for start in sorted({*now, *before}):
        then, here = before.get(start, {}), now.get(start, {})
        for label in {*then, *here}:
            counts, old = here.get(label, {}), then.get(label, {})
            if any(counts.get(name, 0) < count for name, count in old.items()):
                old = {}
                if start not in lost:
                    lost.append(start)
            into = total.setdefault(label, {})
            for name, count in counts.items():
                into[name] = into.get(name, 0) + count - old.get(name, 0)
    added = {label: {name: n for name, n in counts.items() if n} for label, counts in total.items()}
    return {label: counts for label, counts in added.items() if counts}, tuple(lost)


def _usable(state: State, now: float, target: str, namespace: str) -> State | StateError:
    if (state.target, state.namespace) != (target, namespace):
        return StateError(f"is of another run: {state.target} namespace={state.namespace}")
    if now - state.at > LONGEST_SECONDS:
        return StateError("is older than a week")
    return state


async def _run_ids(cache: Cache) -> frozenset[str]:
    """The run id of each server; none of one that does not say."""
    found = set[str]()
    for node in await cache.runtime().server.nodes():
        (reply,) = await node.call_many([("INFO", "server")])
        if isinstance(reply, ServerReplyError):
            continue
        for line in reply.decode("utf-8", "replace").splitlines():
            if line.startswith("run_id:") and line[7:].strip("0"):
                found.add(line[7:])
    return frozenset(found)
